{{ config(materialized='table') }}
-- sales with ids resolved, in base units, and every line dated: its own time, else its order's, else its period's
with sales as {{ inlined() }} (
  {{ identified(ref('stg_sales'), {'item_id': 'item', 'location_id': 'location'}) }}
),

packs as ({{ packs() }})

select
  sales.item_id,
  sales.location_id,
  sales.quantity * coalesce(packs.pack_size, 1) as quantity,
  sales.revenue,
  sales.event_at,
  sales.order_id,
  sales.customer_id,
  sales.row_key,
  greatest(sales.known_at, packs.known_at) as known_at,
  sales.valid_until,
  sales.is_current
from sales
{{ join_packs('sales') }}
where sales.event_at is not null

union all

select item_id, location_id, quantity, revenue, event_at, order_id, customer_id, row_key, known_at, valid_until, is_current
from {{ ref('int_sales_found') }}

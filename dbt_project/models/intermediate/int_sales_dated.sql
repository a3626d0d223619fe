{{ config(materialized='table') }}
-- sales with ids resolved and every line dated: its own time, else its order's, else its period's
with sales as {{ inlined() }} (
  {{ identified(ref('stg_sales'), {'item_id': 'item', 'location_id': 'location'}) }}
)

select item_id, location_id, quantity, revenue, event_at, order_id, customer_id, row_key, known_at, valid_until, is_current
from sales
where event_at is not null

union all

select item_id, location_id, quantity, revenue, event_at, order_id, customer_id, row_key, known_at, valid_until, is_current
from {{ ref('int_sales_found') }}

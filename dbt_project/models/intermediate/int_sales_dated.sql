{{ config(materialized='table') }}
-- Sales with ids resolved, in base units, and every line dated: its own time, else its order's, else its period's. A kit is the parts it
-- takes; lines of cancelled orders count until that is known, and those beyond their item's record nowhere.
with sales as {{ inlined() }} (
  {{ identified(ref('stg_sales'), {'item_id': 'item', 'location_id': 'location'}) }}
  where {{ is_within_record('fact') }}
),

packs as ({{ packs() }}),

lines as {{ inlined() }} (
  select
    sales.item_id,
    sales.location_id,
    sales.quantity * {{ units_held('sales') }} as quantity,
    {{ net('sales', 'revenue') }} as revenue,
    sales.event_at,
    sales.order_id,
    sales.customer_id,
    sales.row_key,
    greatest(sales.known_at, packs.known_at) as known_at,
    sales.valid_until,
    sales.is_current
  from sales
  {{ join_packs('sales') }}
  {{ join_rates('sales', 'sales.event_at') }}
  where sales.event_at is not null and {{ units_held('sales') }} is not null

  union all

  select item_id, location_id, quantity, revenue, event_at, order_id, customer_id, row_key, known_at, valid_until, is_current
  from {{ ref('int_sales_found') }}
),

parts as {{ inlined() }} ({{ taken_apart('lines') }})

{{ not_called_off('parts') }}

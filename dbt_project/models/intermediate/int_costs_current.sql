-- what one unit of an item costs at Now: its terms, else its master data, else the newest count, else the newest order that say so
with counted as (
  select item_id, unit_cost,
    row_number() over (partition by item_id order by event_at desc, known_at desc, unit_cost) as newest
  from {{ ref('fct_stock') }}
  where is_current and unit_cost > 0
),

ordered as (
  select item_id, unit_cost,
    row_number() over (partition by item_id order by ordered_at desc, known_at desc, unit_cost) as newest
  from {{ ref('int_orders_placed') }}
  where unit_cost > 0
)

select
  items.item_id,
  coalesce(sourced.unit_cost, items.unit_cost, counted.unit_cost, ordered.unit_cost) as unit_cost
from {{ ref('dim_items') }} as items
left join {{ ref('int_items_sourced') }} as sourced on items.item_id = sourced.item_id
left join counted on items.item_id = counted.item_id and counted.newest = 1
left join ordered on items.item_id = ordered.item_id and ordered.newest = 1
where items.is_current

-- gross margin return on inventory investment: a year's gross margin / mean stock at cost, by item over all locations
with margins as (
  select demand.item_id, sum(demand.revenue - (demand.sold_quantity - demand.returned_quantity) * planned.unit_cost) as gross_margin
  from {{ ref('fct_demand') }} as demand
  inner join {{ ref('dim_item_locations') }} as planned
    on demand.item_id = planned.item_id and demand.location_id = planned.location_id
  where demand.is_current and demand.period_start >= {{ local_day(now_at()) }} - 365
  group by demand.item_id
),

held as (
  select stock.item_id, sum(stock.mean_on_hand * planned.unit_cost) as mean_stock_value
  from {{ ref('int_stock_issued') }} as stock
  inner join {{ ref('dim_item_locations') }} as planned
    on stock.item_id = planned.item_id and stock.location_id = planned.location_id
  group by stock.item_id
)

select
  held.item_id,
  cast(coalesce(margins.gross_margin, 0) as double) as gross_margin,
  cast(held.mean_stock_value as double) as mean_stock_value,
  cast(coalesce(margins.gross_margin, 0) / nullif(held.mean_stock_value, 0) as double) as gmroi
from held
left join margins on held.item_id = margins.item_id

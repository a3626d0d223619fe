-- what it cost to hold stock: units left at the end of each period x holding cost, by month
select
  cast(date_trunc('month', stock.period_start) as date) as month_start,
  stock.item_id,
  stock.location_id,
  cast(sum(greatest(stock.on_hand, 0)) as double) as unit_periods,
  {{ amount('sum(greatest(stock.on_hand, 0) * planned.holding_cost)') }} as holding_cost
from {{ ref('int_stock_closed') }} as stock
inner join {{ ref('dim_item_locations') }} as planned
  on stock.item_id = planned.item_id and stock.location_id = planned.location_id
group by 1, 2, 3

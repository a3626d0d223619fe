-- what every KPI is a ratio of, week by week: sum numerator and denominator over any items, places and weeks, then divide
with planned as (select item_id, location_id, unit_cost from {{ ref('dim_item_locations') }}),

sold as (
  select
    cast(date_trunc('week', demand.period_start) as date) as week_start, demand.item_id, demand.location_id,
    sum(demand.sold_quantity) as sold_quantity, sum(demand.revenue) as revenue,
    sum((demand.sold_quantity - demand.returned_quantity) * planned.unit_cost) as cost_of_sales
  from {{ ref('fct_demand') }} as demand
  inner join planned on demand.item_id = planned.item_id and demand.location_id = planned.location_id
  where demand.is_current
  group by 1, 2, 3
),

lost as (
  select
    cast(date_trunc('week', period_start) as date) as week_start, item_id, location_id,
    sum(lost_quantity) as lost_quantity, sum(lost_revenue) as lost_revenue
  from {{ ref('kpi_lost_sales') }}
  group by 1, 2, 3
),

closings as (
  select
    cast(date_trunc('week', period_start) as date) as week_start, item_id, location_id, on_hand,
    row_number() over (
      partition by item_id, location_id, date_trunc('week', period_start) order by period_start desc
    ) as newest
  from {{ ref('int_stock_closed') }}
),

stock as (
  select
    closings.week_start, closings.item_id, closings.location_id,
    sum(case when closings.newest = 1 then closings.on_hand * planned.unit_cost end) as stock_value,
    sum(closings.on_hand) * {{ days_a_period() }} as stock_days,
    sum(closings.on_hand * planned.unit_cost) * {{ days_a_period() }} as stock_value_days
  from closings
  inner join planned on closings.item_id = planned.item_id and closings.location_id = planned.location_id
  group by 1, 2, 3
),

issued as (
  select week_start, item_id, location_id, -sum(delta) as issued_quantity
  from (
    select
      cast(date_trunc('week', {{ period_start('day') }}) as date) as week_start, item_id, location_id, delta
    from (select *, {{ local_day('event_at') }} as day from {{ ref('int_stock_moved') }}) as dated
    where kind in ('sale', 'departure', 'return')
  ) as moves
  group by 1, 2, 3
),

deliveries as (
  select
    cast(date_trunc('week', promised_on) as date) as week_start, item_id, location_id, count(*) as due_lines,
    count(*) filter (where received_at is not null and received_on <= promised_on) as otif_lines
  from {{ ref('fct_lead_times') }}
  where kind = 'purchase' and from_id is not null and promised_on < {{ local_day(now_at()) }}
  group by 1, 2, 3
),

spine as (
  select week_start, item_id, location_id from sold
  union select week_start, item_id, location_id from stock
  union select week_start, item_id, location_id from deliveries
),

-- a shop that keeps no stock records sells from the stock of the place that does
stocked as (select distinct week_start, item_id from stock)

select
  spine.week_start,
  spine.item_id,
  spine.location_id,
  cast(coalesce(sold.sold_quantity, 0) as double) as sold_quantity,
  cast(coalesce(lost.lost_quantity, 0) as double) as lost_quantity,
  {{ amount('coalesce(sold.revenue, 0)') }} as revenue,
  {{ amount('coalesce(lost.lost_revenue, 0)') }} as lost_revenue,
  {{ amount('coalesce(sold.cost_of_sales, 0)') }} as cost_of_sales,
  {{ amount('case when stocked.item_id is not null then coalesce(sold.revenue, 0) else 0 end') }} as stocked_revenue,
  {{ amount('case when stocked.item_id is not null then coalesce(sold.cost_of_sales, 0) else 0 end') }} as stocked_cost_of_sales,
  cast(case when stock.stock_days is not null then coalesce(issued.issued_quantity, 0) end as double) as issued_quantity,
  cast(stock.stock_days as double) as stock_days,
  {{ amount('stock.stock_value_days') }} as stock_value_days,
  {{ amount('stock.stock_value') }} as stock_value,
  coalesce(deliveries.due_lines, 0) as due_lines,
  coalesce(deliveries.otif_lines, 0) as otif_lines
from spine
left join stocked on spine.week_start = stocked.week_start and spine.item_id = stocked.item_id
left join sold
  on spine.week_start = sold.week_start and spine.item_id = sold.item_id and spine.location_id = sold.location_id
left join lost
  on spine.week_start = lost.week_start and spine.item_id = lost.item_id and spine.location_id = lost.location_id
left join stock
  on spine.week_start = stock.week_start and spine.item_id = stock.item_id and spine.location_id = stock.location_id
left join issued
  on spine.week_start = issued.week_start and spine.item_id = issued.item_id and spine.location_id = issued.location_id
left join deliveries
  on spine.week_start = deliveries.week_start and spine.item_id = deliveries.item_id and spine.location_id = deliveries.location_id

-- the whole company by week, over the weeks that have ended; turns are those of the quarter that ends with the week
with weeks as (
  select
    week_start, sum(sold_quantity) as sold_quantity, sum(lost_quantity) as lost_quantity,
    sum(revenue) as revenue, sum(cost_of_sales) as cost_of_sales, sum(stock_value) as stock_value,
    sum(stocked_cost_of_sales) as stocked_cost_of_sales, sum(stock_value_days) as stock_value_days,
    sum(due_lines) as due_lines, sum(otif_lines) as otif_lines
  from {{ ref('kpi_weekly') }}
  where {{ days_apart('week_start', local_day(now_at())) }} >= 7
  group by week_start
)

select
  week_start,
  cast(sold_quantity as double) as sold_quantity,
  -- a week in which all was closed has none
  cast(case when sold_quantity > 0 then {{ fill_rate('sold_quantity', 'lost_quantity') }} end as double) as fill_rate,
  cast(otif_lines as double) / nullif(due_lines, 0) as otif_share,
  {{ amount('revenue') }} as revenue,
  {{ amount('cost_of_sales') }} as cost_of_sales,
  {{ amount('stock_value') }} as stock_value,
  cast({{ a_year_over_stock('sum(stocked_cost_of_sales) over quarter', 'sum(stock_value_days) over quarter') }} as double) as turns
from weeks
window quarter as (order by week_start rows between 12 preceding and current row)

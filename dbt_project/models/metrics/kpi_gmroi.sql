-- gross margin return on inventory investment: a year's gross margin / mean stock at cost, by item over all locations
select
  item_id,
  {{ amount('sum(stocked_revenue - stocked_cost_of_sales)') }} as gross_margin,
  {{ amount('sum(stock_value_days)') }} as stock_value_days,
  cast({{ a_year_over_stock('sum(stocked_revenue - stocked_cost_of_sales)', 'sum(stock_value_days)') }} as double) as gmroi
from {{ ref('kpi_weekly') }}
where {{ in_last_year('week_start') }}
group by item_id
having sum(stock_value_days) is not null

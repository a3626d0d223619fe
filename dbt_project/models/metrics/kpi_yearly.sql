-- the last 52 weeks of the whole company, and of each category
with weekly as (
  select weekly.*, planned.category
  from {{ ref('kpi_weekly') }} as weekly
  left join {{ ref('dim_item_locations') }} as planned
    on weekly.item_id = planned.item_id and weekly.location_id = planned.location_id
  where {{ in_last_year('weekly.week_start') }} and {{ days_apart('weekly.week_start', local_day(now_at())) }} >= 7
)

select
  case when grouping(category) = 1 then 'company' else 'category' end as scope,
  category,
  min(week_start) as starts_on,
  max(week_start) + 6 as ends_on,
  cast({{ fill_rate('sum(sold_quantity)', 'sum(lost_quantity)') }} as double) as fill_rate,
  cast(sum(otif_lines) as double) / nullif(sum(due_lines), 0) as otif_share,
  {{ amount('sum(revenue)') }} as revenue,
  {{ amount('sum(lost_revenue)') }} as lost_revenue,
  cast({{ a_year_over_stock('sum(stocked_cost_of_sales)', 'sum(stock_value_days)') }} as double) as turns,
  cast({{ a_year_over_stock('sum(stocked_revenue - stocked_cost_of_sales)', 'sum(stock_value_days)') }} as double) as gmroi
from weekly
group by grouping sets ((category), ())
having count(*) > 0

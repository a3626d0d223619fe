-- the share of demand met from the shelf: sold / (sold + estimated lost), by month
select
  cast(date_trunc('month', demand.period_start) as date) as month_start,
  demand.item_id,
  demand.location_id,
  sum(demand.sold_quantity) as sold_quantity,
  sum(coalesce(lost.lost_quantity, 0)) as lost_quantity,
  {{ fill_rate("sum(demand.sold_quantity)", "sum(coalesce(lost.lost_quantity, 0))") }} as fill_rate
from {{ ref('fct_demand') }} as demand
left join {{ ref('kpi_lost_sales') }} as lost
  on demand.item_id = lost.item_id and demand.location_id = lost.location_id and demand.period_start = lost.period_start
where demand.is_current
group by 1, 2, 3

-- the share of periods with an empty shelf, by month
select
  cast(date_trunc('month', period_start) as date) as month_start,
  item_id,
  location_id,
  count(*) as periods,
  count(*) filter (where is_censored) as stock_out_periods,
  count(*) filter (where is_censored) / cast(count(*) as double) as stock_out_share
from {{ ref('fct_demand') }}
where is_current
group by 1, 2, 3

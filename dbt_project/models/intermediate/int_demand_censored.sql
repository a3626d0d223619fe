-- What is recorded of every version of a period, and whether an empty shelf censored it; a missing row may mean a missing report
select
  series_id,
  period_rank,
  known_at,
  sold,
  returned,
  revenue,
  case when lines > 0 or returned <> 0 or {{ world('absent_sales') }} = 'zero' then sold - returned end as recorded_quantity,
  stock_outs > 0 as is_censored,
  version,
  is_current
from {{ ref('int_demand_versioned') }}

-- the label: demand of a period, named by its first day and found by when it was known
select
  item_id,
  location_id,
  period_start as target_on,
  known_at,
  cast(quantity as float) as demand,
  is_censored
from {{ ref('fct_demand') }}

-- the median real lead time by origin, for plans that state none
select from_id, median(actual_days) as lead_time_days
from {{ ref('fct_lead_times') }}
where not is_censored and from_id is not null
group by from_id
union all
select null, median(actual_days) from {{ ref('fct_lead_times') }} where not is_censored

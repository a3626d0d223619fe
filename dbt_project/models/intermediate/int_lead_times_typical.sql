-- the median real lead time by origin, for plans that state none; one of more than 1,000 days is a wrong year
select from_id, median(actual_days) as lead_time_days
from {{ ref('fct_lead_times') }}
where not is_censored and actual_days <= 1000 and from_id is not null
group by from_id
union all
select null, median(actual_days) from {{ ref('fct_lead_times') }} where not is_censored and actual_days <= 1000

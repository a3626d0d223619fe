{{ config(tags=['decisions']) }}
-- WAPE and bias of the forecasts that decisions were made on, by model, location and periods ahead; a re-run of one as-of counts once
with forecasts as (
  select *, {{ local_day('as_of') }} as made_on, dense_rank() over (partition by as_of, model order by run_id desc) as newest
  from {{ source('decisions', 'forecasts') }}
  where quantile is null
),

compared as (
  select
    forecasts.model,
    forecasts.location_id,
    target.period_index - origin.period_index + 1 as periods_ahead,
    forecasts.value as forecast,
    demand.quantity
  from forecasts
  inner join {{ ref('fct_demand') }} as demand
    on forecasts.item_id = demand.item_id and forecasts.location_id = demand.location_id and forecasts.period_start = demand.period_start
  inner join {{ ref('dim_calendar') }} as target on demand.period_start = target.day
  inner join {{ ref('dim_calendar') }} as origin on forecasts.made_on = origin.day
  where forecasts.newest = 1 and demand.is_current and demand.quantity is not null
)

select
  model,
  location_id,
  periods_ahead,
  count(*) as forecasts,
  cast(sum(quantity) as double) as demand,
  cast(1 - sum(abs(forecast - quantity)) / nullif(sum(quantity), 0) as double) as accuracy,
  cast(sum(abs(forecast - quantity)) / nullif(sum(quantity), 0) as double) as wape,
  cast(sum(forecast - quantity) / nullif(sum(quantity), 0) as double) as bias
from compared
group by 1, 2, 3

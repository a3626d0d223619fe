-- net demand of every closed period, every version: unknown where the shelf was empty or a missing row means a missing report
select
  series.item_id,
  series.location_id,
  period.period_start,
  case when not is_censored and recorded_quantity is not null then greatest(recorded_quantity, 0) end as quantity,
  cast(recorded_quantity as double) as recorded_quantity,
  cast(versions.sold as double) as sold_quantity,
  cast(versions.returned as double) as returned_quantity,
  {{ amount('versions.revenue') }} as revenue,
  versions.is_censored,
  period.period_ends_at as event_at,
  versions.known_at,
  cast(versions.version as integer) as version,
  versions.is_current
from {{ ref('int_demand_censored') }} as versions
inner join {{ ref('int_series_started') }} as series on versions.series_id = series.series_id
inner join {{ ref('int_periods_closed') }} as period on versions.period_rank = period.period_rank

{{ config(materialized='table') }}
-- Closed periods, and when the sales of each could first be read. A feed that arrives some hours after midnight says nothing about a
-- period until then: the delay is the least ever seen between a period's end and the news of its last day of sales. Days at the end on
-- which nobody sold anything, longer than is usual and not yet so long that the gate tells of it (a week), are a report that is missing.
with calendar as (
  select period_start, min(day) as first_day, max(day) as last_day, max(period_ends_at) as period_ends_at, min(period_rank) as period_rank
  from {{ ref('int_calendar_spined') }}
  group by period_start
),

days as (
  select {{ local_day('event_at') }} as day, min(known_at) as known_at
  from {{ ref('int_sales_dated') }}
  group by 1
),

last_days as (
  select
    period_start,
    {{ days_from('period_ends_at', 'days.known_at') }} as delay_days,
    row_number() over (partition by period_start order by days.day desc) as newest
  from days
  inner join {{ ref('int_calendar_spined') }} using (day)
),

pauses as (
  select day, {{ days_apart('lag(day) over (order by day)', 'day') }} - 1 as pause from days
),

silence as (
  select
    max(day) as last_sold,
    {{ days_apart('max(day)', local_day(now_at())) }} - 1 as silent_days,
    case when count(pause) >= 6 then {{ quantile('pause', 0.95) }} end as usual_days
  from pauses
),

feed as (
  select
    coalesce(greatest(min(delay_days) filter (where newest = 1), 0), 0) as delay_days,
    (select min(known_at) from days) as first_known_at
  from last_days
)

select
  period_start,
  period_rank,
  period_ends_at,
  greatest({{ days_after('period_ends_at', 'delay_days') }}, first_known_at) as reported_at
from calendar
cross join feed
cross join silence
where greatest({{ days_after('period_ends_at', 'delay_days') }}, first_known_at) <= {{ now_at() }}
  and not coalesce(period_start > last_sold and silent_days > usual_days and silent_days <= 7, false)

{{ config(materialized='table') }}
-- What each news changed about a period's demand: a line adds at its known_at and takes itself back when its next version is known.
-- News from before the period could be read counts as of then. One row a series, period and time of news.
with sales as {{ inlined() }} ({{ inherited(ref('int_sales_dated'), ['quantity', 'revenue']) }}),

returns as {{ inlined() }} ({{ inherited(ref('int_returns_matched'), ['quantity', 'revenue']) }}),

-- the shelf of an item that others follow says nothing once they are there, nor theirs before
followed as (select successor_id, min(starts_on) as starts_on from {{ ref('dim_successions') }} group by successor_id),

stock_outs as {{ inlined() }} (
  select coalesce(heirs.successor_id, flags.item_id) as item_id, flags.location_id, flags.event_at, flags.known_at, flags.valid_until
  from {{ ref('int_empty_shelves_seen') }} as flags
  left join {{ ref('dim_successions') }} as heirs on flags.item_id = heirs.item_id
  left join followed on flags.item_id = followed.successor_id
  where coalesce({{ local_day('flags.event_at') }} < heirs.starts_on, true)
    and coalesce({{ local_day('flags.event_at') }} >= followed.starts_on, true)
),

unbelieved as {{ inlined() }} ({{ inherited(ref('int_sales_unbelieved'), []) }}),

-- what really sold beside a line that nobody believes is unknown, as it is at an empty shelf
unknown as {{ inlined() }} (
  select item_id, location_id, event_at, known_at, valid_until from stock_outs
  union all
  select item_id, location_id, event_at, known_at, valid_until from unbelieved
),

sale_news as (
  select item_id, location_id, event_at, known_at, quantity as sold, coalesce(revenue, 0.0) as revenue, 1 as lines
  from sales
  union all
  select item_id, location_id, event_at, valid_until, -quantity, -coalesce(revenue, 0.0), -1
  from sales where valid_until is not null
),

other_news as (
  select item_id, location_id, counts_at as event_at, known_at, quantity as returned, revenue, 0 as stock_outs
  from returns
  union all
  select item_id, location_id, counts_at, valid_until, -quantity, -revenue, 0
  from returns where valid_until is not null
  union all
  select item_id, location_id, event_at, known_at, 0.0, 0.0, 1
  from unknown
  union all
  select item_id, location_id, event_at, valid_until, 0.0, 0.0, -1
  from unknown where valid_until is not null
),

news as (
  select item_id, location_id, event_at, known_at, sold, 0.0 as returned, revenue, lines, 0 as stock_outs from sale_news
  union all
  select item_id, location_id, event_at, known_at, 0.0, returned, -revenue, 0, stock_outs from other_news
),

dated as (select *, {{ local_day('event_at') }} as day from news)

select
  series.series_id,
  period.period_rank,
  greatest(news.known_at, period.reported_at) as known_at,
  sum(news.sold) as sold,
  sum(news.returned) as returned,
  sum(news.revenue) as revenue,
  cast(sum(news.lines) as integer) as lines,
  cast(sum(news.stock_outs) as integer) as stock_outs
from dated as news
inner join {{ ref('int_series_started') }} as series
  on news.item_id = series.item_id and news.location_id = series.location_id
inner join {{ ref('int_calendar_spined') }} as calendar on news.day = calendar.day
inner join {{ ref('int_periods_closed') }} as period on calendar.period_start = period.period_start
group by 1, 2, 3

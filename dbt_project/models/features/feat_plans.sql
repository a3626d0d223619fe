-- what was planned for a period, told each time it became known or changed: promotions and events in force, days off, prices announced
-- ahead that differ from the one before. A price plan reaches 56 days ahead.
{%- set is_event = matches("lower(concat_ws(' ', kind, name))", 'holiday|event|season|\\bday\\b|national|religious|cultural|sporting') %}
with calendar as (select day, period_start from {{ ref('dim_calendar') }}),

series as (
  select item_id, location_id, place.region_id
  from {{ ref('int_series_started') }}
  left join (select location_id, region_id from {{ ref('dim_locations') }} where is_current) as place using (location_id)
),

-- what a promotion may be said about: an item or all, a location or all, a region or all
scopes as (
  select
    series.item_id, series.location_id,
    case when has_item then series.item_id end as for_item,
    case when has_location then series.location_id end as for_location,
    case when has_region then series.region_id end as for_region
  from series
  cross join (values (true), (false)) as item_given (has_item)
  cross join (values (true), (false)) as location_given (has_location)
  cross join (values (true), (false)) as region_given (has_region)
  where not has_region or series.region_id is not null
),

promotions as (
  select
    *,
    lead(known_at) over (partition by name, item_id, location_id, region_id, starts_on order by known_at, is_current) as replaced_at
  from {{ ref('fct_promotions') }}
),

announced as (
  select *, known_at as told_at, 1 as change from promotions
  union all
  select *, replaced_at, -1 from promotions where replaced_at is not null
),

promoted as (
  select
    item_id, location_id, region_id, target_on, told_at,
    coalesce(sum(change) filter (where not is_event), 0) as promotions,
    coalesce(sum(change) filter (where is_event), 0) as events
  from (
    select distinct
      name, item_id, location_id, region_id, starts_on, calendar.period_start as target_on, told_at, change, {{ is_event }} as is_event
    from announced
    inner join calendar on calendar.day >= starts_on and (calendar.day <= ends_on or ends_on is null)
  )
  group by all
),

opened as (
  select opening.location_id, calendar.period_start as target_on, opening.known_at, bool_or(opening.is_open) as is_open
  from {{ ref('fct_openings') }} as opening
  inner join calendar on opening.target_on = calendar.day
  group by all
),

closed as (
  select * from opened qualify bool_or(not is_open) over (partition by location_id, target_on)
),

priced as (
  select
    series.item_id, series.location_id, price.price, price.known_at, price.event_at, {{ local_day('price.event_at') }} as starts_on,
    price.known_at < price.event_at and price.price is distinct from last_value(price.price) over (
      partition by series.item_id, series.location_id order by price.event_at
      range between unbounded preceding and interval 1 microsecond preceding
    ) as is_planned
  from {{ ref('fct_prices') }} as price
  inner join series on price.item_id = series.item_id and (price.location_id = series.location_id or price.location_id is null)
),

-- a price that follows a planned one within its reach must be told too, or the plan would outlive it
planned as (
  select * from priced
  qualify is_planned or starts_on < 56 + max(case when is_planned then starts_on end) over (
    partition by item_id, location_id order by event_at range between unbounded preceding and current row
  )
),

told as (
  select
    scopes.item_id, scopes.location_id, promoted.target_on, promoted.told_at as known_at, promoted.promotions, promoted.events,
    cast(null as boolean) as is_open, cast(null as double) as price, cast(null as timestamp) as event_at
  from promoted
  inner join scopes
    on promoted.item_id is not distinct from scopes.for_item
    and promoted.location_id is not distinct from scopes.for_location
    and promoted.region_id is not distinct from scopes.for_region
  union all
  select series.item_id, series.location_id, closed.target_on, closed.known_at, 0, 0, closed.is_open, null, null
  from closed
  inner join series using (location_id)
  union all
  select planned.item_id, planned.location_id, calendar.period_start, planned.known_at, 0, 0, null, planned.price, planned.event_at
  from planned
  inner join calendar on calendar.day between planned.starts_on and planned.starts_on + 55
  group by all
)

select
  item_id,
  location_id,
  target_on,
  known_at,
  cast(sum(promotions) over so_far as bigint) as promotion_count,
  cast(sum(events) over so_far as bigint) as event_count,
  {{ newest_value('is_open', 'known_at') }} over so_far as is_open,
  cast({{ newest_value('price', together(['event_at', 'known_at'])) }} over so_far as float) as planned_price
from told
window so_far as (
  partition by item_id, location_id, target_on order by known_at range between unbounded preceding and current row
)
qualify row_number() over (partition by item_id, location_id, target_on, known_at order by known_at) = 1

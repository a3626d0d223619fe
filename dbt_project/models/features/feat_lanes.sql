-- the terms by which goods travel from one place to another, one row each time a tariff or a fuel price changed them. Of several ways the
-- cheapest that serves all items speaks, or else the cheapest for an item. The mart's fuel_index is of Now; this one is as known then.
with lanes as (
  select
    concat(from_id, '>', to_id) as lane_id, item_id, mode, transit_days, {{ trained_on('freight_per_kg') }} as freight_per_kg, valid_from,
    coalesce(valid_to, timestamp '9999-12-31') as valid_to, {{ local_day('valid_from') }} as quoted_on
  from {{ ref('dim_lanes') }}
),

-- the mean of a day's readings as known from a time on: each version replaces the one before it
fuel as (
  select
    target_on, known_at, {{ midnight_of('target_on') }} as starts_at,
    sum(value_change) over so_far / sum(reading_change) over so_far as price
  from (
    select
      target_on, known_at,
      value - coalesce(lag(value) over reading, 0) as value_change,
      cast(lag(true) over reading is null as integer) as reading_change
    from {{ ref('fct_signals') }}
    where {{ signal_feature('name') }} = 'signal_fuel_price'
    window reading as (partition by name, region_id, location_id, item_id, event_at, target_on order by known_at)
  )
  window so_far as (partition by target_on order by known_at range between unbounded preceding and current row)
  qualify row_number() over (partition by target_on, known_at order by known_at) = 1
),

paid_now as (
  select distinct
    greatest(known_at, starts_at) as told_at,
    {{ newest_value('price', together(['target_on', 'known_at'])) }} over (
      order by greatest(known_at, starts_at) range between unbounded preceding and current row
    ) as price
  from fuel
),

paid_then as (
  select distinct
    quoted_on, known_at as told_at,
    {{ newest_value('price', together(['target_on', 'known_at'])) }} over (
      partition by quoted_on order by known_at range between unbounded preceding and current row
    ) as price
  from (select distinct quoted_on from lanes)
  inner join fuel on target_on <= quoted_on
),

moments as (
  select lane_id, valid_from as told_at from lanes
  union
  select lane_id, fuel.told_at
  from (select lane_id, min(valid_from) as first_at from lanes group by lane_id)
  inner join (select told_at from paid_now union select told_at from paid_then) as fuel
    on fuel.told_at >= first_at and fuel.told_at <= {{ now_at() }}
),

terms as (
  select moments.told_at, lanes.*
  from moments
  inner join lanes on moments.lane_id = lanes.lane_id and told_at >= valid_from and told_at < valid_to
  qualify row_number() over (
    partition by moments.lane_id, told_at
    order by item_id nulls first, freight_per_kg nulls last, transit_days nulls last, mode
  ) = 1
),

told as (
  select
    lane_id,
    terms.told_at as event_at,
    terms.told_at as known_at,
    cast(transit_days as float) as transit_days,
    cast(freight_per_kg as float) as freight_per_kg,
    cast(coalesce(paid_now.price / nullif(paid_then.price, 0), 1) as float) as fuel_index
  from terms
  left join (select *, lead(told_at) over (order by told_at) as until from paid_now) as paid_now
    on terms.told_at >= paid_now.told_at and (terms.told_at < paid_now.until or paid_now.until is null)
  left join (select *, lead(told_at) over (partition by quoted_on order by told_at) as until from paid_then) as paid_then
    on terms.quoted_on = paid_then.quoted_on
    and terms.told_at >= paid_then.told_at and (terms.told_at < paid_then.until or paid_then.until is null)
)

select * from told
qualify {{ together(['transit_days', 'freight_per_kg', 'fuel_index']) }} is distinct from lag(
  {{ together(['transit_days', 'freight_per_kg', 'fuel_index']) }}
) over (partition by lane_id order by known_at)

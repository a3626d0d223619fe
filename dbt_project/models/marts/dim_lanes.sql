-- By which way goods go from one place to another, with its history; a lane without item serves all. What fuel costs is the mean of
-- its regions' newest prices: a lorry fills up on both sides of a border.
{%- set attributes = [
  'transit_days', 'freight_per_kg', 'fuel_share', 'distance_km', 'co2_per_tonne_km', 'capacity_kg', 'departure_days'
] %}
with lanes as (
  {{ identified(ref('stg_lanes'), {'from_id': ['location', 'supplier'], 'to_id': 'location', 'item_id': 'item'}) }}
),

things as (
  select
    from_id, to_id, item_id, mode, transit_days, freight_per_kg * {{ exchanged('lanes') }} as freight_per_kg, fuel_share, distance_km,
    co2_per_tonne_km, capacity_kg, departure_days, true as is_declared, known_at, handed_over_at, row_hash
  from lanes
  {{ join_rates('lanes', now_at()) }}
),

{{ history('things', ['from_id', 'to_id', 'item_id', 'mode'], attributes) }},

fuel as (
  select target_on, avg(value) as price
  from {{ ref('fct_signals') }}
  where is_current and {{ signal_feature('name') }} = 'signal_fuel_price' and target_on <= {{ local_day(now_at()) }}
  group by target_on
),

days as (
  select valid_from as quoted_at, {{ local_day('valid_from') }} as day from history
  union
  select cast(null as timestamp), {{ local_day(now_at()) }}
),

paid as (
  select quoted_at, price
  from (
    select days.quoted_at, fuel.price, row_number() over (partition by days.quoted_at order by fuel.target_on desc) as newest
    from days
    inner join fuel on days.day >= fuel.target_on
  ) as until_then
  where newest = 1
)

select
  from_id, to_id, item_id, mode, transit_days, {{ unit_money('freight_per_kg') }} as freight_per_kg, fuel_share,
  distance_km, co2_per_tonne_km, capacity_kg, departure_days,
  cast(coalesce((select price from paid where quoted_at is null) / nullif(paid.price, 0), 1) as double) as fuel_index,
  known_at, valid_from, valid_to, is_current
from history
left join paid on history.valid_from = paid.quoted_at

-- what was last observed outside about one location itself, one row each time something became known
with observed as (
  select location_id, event_at, known_at, avg(value) as value
  from {{ ref('fct_signals') }}
  where name = 'competitor_distance_m' and location_id is not null and item_id is null and known_at >= event_at
  group by all
),

told as (
  select
    location_id, known_at,
    max(event_at) over so_far as event_at,
    cast({{ newest_value('value', together(['event_at', 'known_at'])) }} over so_far as float) as competitor_distance_m
  from observed
  window so_far as (partition by location_id order by known_at range between unbounded preceding and current row)
  qualify row_number() over (partition by location_id, known_at order by known_at) = 1
)

select location_id, event_at, known_at, competitor_distance_m from told

-- the last observation of each signal by region, one row each time something became known; forecasts about a later day are left out
with places as (
  select location_id, region_id from {{ ref('dim_locations') }} where is_current
),

observed as (
  select
    coalesce(signal.region_id, places.region_id) as region_id,
    {{ signal_feature('signal.name') }} as feature,
    signal.event_at,
    signal.known_at,
    avg(signal.value) as value
  from {{ ref('fct_signals') }} as signal
  left join places on signal.location_id = places.location_id
  where signal.item_id is null and signal.known_at >= signal.event_at and signal.target_on <= {{ local_day('signal.event_at') }}
  group by all
),

told as (
  select
    region_id, known_at,
    max(event_at) over so_far as event_at
    {%- for feature in signal_features() %},
    cast({{ newest_value('value', together(['event_at', 'known_at'])) }} filter (where feature = '{{ feature }}') over so_far as float) as {{ feature }}
    {%- endfor %}
  from observed
  where feature is not null and region_id is not null
  window so_far as (partition by region_id order by known_at range between unbounded preceding and current row)
  qualify row_number() over (partition by region_id, known_at order by known_at) = 1
)

select * from told

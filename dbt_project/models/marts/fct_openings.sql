-- which days a location is open, every version
with openings as (
  {{ identified(ref('stg_openings'), {'location_id': 'location'}) }}
)

select location_id, {{ local_day('event_at') }} as target_on, is_open, known_at, is_current from openings

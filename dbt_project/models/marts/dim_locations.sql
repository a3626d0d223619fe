-- every location ever declared or met in a fact, with its history
{%- set attributes = ['name', 'address', 'region_id', 'country', 'kind', 'levels', 'supplied_from', 'capacity', 'receiving_days'] %}
with locations as (
  {{ identified(ref('stg_locations'), {'location_id': 'location', 'supplied_from': 'location'}) }}
),

things as (
  select
    location_id, name, address, region_id, country, kind, levels, supplied_from, capacity, receiving_days, true as is_declared, known_at, handed_over_at,
    row_hash
  from locations
  union all
  select location_id, null, null, null, null, null, null, null, null, null, false, known_at, null, null
  from {{ ref('int_locations_seen') }}
),

{{ history('things', ['location_id'], attributes) }}

select
  location_id, name, address, region_id, country, kind, levels, supplied_from, capacity, receiving_days, is_declared, known_at, valid_from, valid_to, is_current
from history

-- by which way goods go from one place to another, with its history; a lane without item serves all
with lanes as (
  {{ identified(ref('stg_lanes'), {'from_id': 'location', 'to_id': 'location', 'item_id': 'item'}) }}
),

things as (
  select
    from_id, to_id, item_id, mode, transit_days, freight_per_kg, fuel_share, true as is_declared, known_at, handed_over_at, row_hash
  from lanes
),

{{ history('things', ['from_id', 'to_id', 'item_id', 'mode'], ['transit_days', 'freight_per_kg', 'fuel_share']) }}

select from_id, to_id, item_id, mode, transit_days, freight_per_kg, fuel_share, known_at, valid_from, valid_to, is_current
from history

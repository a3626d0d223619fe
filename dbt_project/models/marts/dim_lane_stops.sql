-- hubs that goods pass on a lane without being kept there; a stop without a mode is one of every way between the two places
with stated as (
  {{ identified(ref('stg_lane_stops'), {'from_id': ['location', 'supplier'], 'to_id': 'location', 'hub_id': 'location'}) }}
)

select from_id, to_id, mode, hub_id, max(after_days) as after_days, min(known_at) as known_at
from stated
where is_current
group by from_id, to_id, mode, hub_id

-- what was observed or forecast outside the company, about a day, every version
with signals as (
  {{ identified(ref('stg_signals'), {'item_id': 'item', 'location_id': 'location'}) }}
)

select
  name,
  region_id,
  location_id,
  item_id,
  event_at,
  coalesce(target_on, {{ local_day('event_at') }}) as target_on,
  value,
  known_at,
  is_current
from signals

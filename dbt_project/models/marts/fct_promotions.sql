-- promotions, holidays and events by the local days they hold, every version
with promotions as (
  {{ identified(ref('stg_promotions'), {'item_id': 'item', 'location_id': 'location'}) }}
)

select
  name,
  kind,
  value,
  item_id,
  location_id,
  region_id,
  {{ local_day('starts_at') }} as starts_on,
  {{ local_day('ends_at') }} as ends_on,
  known_at,
  valid_until,
  is_current
from promotions

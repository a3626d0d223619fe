-- what the item master said about an item, from when it was known
select
  item_id,
  valid_from as event_at,
  known_at,
  category,
  subcategory,
  cast({{ trained_on('unit_cost') }} as float) as unit_cost,
  cast(weight_kg as float) as weight_kg
from {{ ref('dim_items') }}

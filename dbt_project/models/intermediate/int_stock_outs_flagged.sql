-- observations of an empty shelf: what sells then is not what was wanted
with stock as (
  {{ identified(ref('stg_stock'), {'item_id': 'item', 'location_id': 'location'}) }}
)

select item_id, location_id, event_at, known_at, valid_until
from stock
where is_in_stock is false or (is_in_stock is null and on_hand <= 0)

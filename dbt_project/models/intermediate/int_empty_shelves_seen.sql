-- observations of an empty shelf: what sells then is not what was wanted
select item_id, location_id, event_at, known_at, valid_until
from {{ ref('int_stock_counted') }}
where is_in_stock is false or (is_in_stock is null and on_hand <= 0)

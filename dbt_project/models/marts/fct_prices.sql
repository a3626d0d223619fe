-- what an item costs the customer from a time on, every version; a price without location holds everywhere
select
  item_id, location_id, {{ unit_money('price') }} as price, {{ unit_money('list_price') }} as list_price, event_at, known_at, is_current
from {{ ref('int_prices_dated') }}

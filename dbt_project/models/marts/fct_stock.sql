-- what people and systems counted, every version
select
  item_id,
  location_id,
  event_at,
  on_hand,
  coalesce(is_in_stock, on_hand > 0) as is_in_stock,
  {{ unit_money('unit_cost') }} as unit_cost,
  known_at,
  is_current
from {{ ref('int_stock_counted') }}

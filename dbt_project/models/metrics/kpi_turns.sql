-- how often a year the stock is sold or shipped on: annual issues / mean stock, both in units
select
  item_id,
  location_id,
  issued_quantity,
  mean_on_hand,
  cast(issued_quantity * 365 / held_days / nullif(mean_on_hand, 0) as double) as turns
from {{ ref('int_stock_issued') }}

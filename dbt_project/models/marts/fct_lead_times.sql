-- How long each order line took, promised and real; a line still open is a lower bound. Refused lines (nothing is to come) and receipts
-- before their order are left out.
with lines as (
  select * from {{ ref('int_orders_received') }}
  where not is_assumed and quantity > 0 and (received_at is null or received_at >= ordered_at)
)

select
  order_id,
  line_id,
  kind,
  item_id,
  location_id,
  from_id,
  ordered_at,
  due_at as promised_at,
  received_at,
  {{ days_from('ordered_at', 'due_at') }} as promised_days,
  {{ days_from('ordered_at', 'coalesce(received_at, ' ~ now_at() ~ ')') }} as actual_days,
  received_at is null as is_censored,
  known_at
from lines

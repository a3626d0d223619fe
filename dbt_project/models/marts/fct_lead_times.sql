-- How long each order line took, promised and real, in local days: a promise is for a day and holds to its end. A line still open is a
-- lower bound. Refused and closed lines (nothing is to come), lines overdue beyond belief and receipts before their order are left out.
-- What was sent back later had come all the same.
with lines as (
  select
    order_id, line_id, kind, item_id, location_id, from_id, ordered_at, due_at, known_at, came_at as received_at,
    {{ local_day('ordered_at') }} as ordered_on,
    {{ local_day('due_at') }} as promised_on,
    {{ local_day('came_at') }} as received_on
  from (select *, coalesce(received_at, arrived_at) as came_at from {{ ref('int_orders_received') }}) as seen
  where not is_assumed and quantity > 0 and (closed_at is null or came_at is not null) and (came_at is null or came_at >= ordered_at)
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
  ordered_on,
  promised_on,
  received_on,
  cast({{ days_apart('ordered_on', 'promised_on') }} as double) as promised_days,
  cast({{ days_apart('ordered_on', 'coalesce(received_on, ' ~ local_day(now_at()) ~ ')') }} as double) as actual_days,
  received_at is null as is_censored,
  known_at
from lines

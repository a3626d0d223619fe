-- Order lines so long overdue that nothing counts on them any more: to be closed, or to be given a new day.
select
  order_id,
  line_id,
  kind,
  item_id,
  location_id,
  from_id,
  quantity - received_quantity as quantity,
  ordered_at,
  due_at,
  {{ local_day('coalesce(due_at, ordered_at)') }} as due_on,
  {{ local_day('closed_at') }} as given_up_on,
  origin,
  known_at
from {{ ref('int_orders_received') }}
where closed_at is not null and not coalesce(is_over, false) and quantity > received_quantity

-- what is on its way at Now: order lines not yet complete or closed, each order id once
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
  {{ local_day('due_at') }} as due_on,
  {{ unit_money('unit_cost') }} as unit_cost,
  origin,
  known_at
from {{ ref('int_orders_received') }}
where received_at is null and closed_at is null and quantity > received_quantity

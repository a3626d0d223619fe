-- what came in, every version; a receipt that names no supplier has its order's
with receipts as (
  {{ identified(ref('stg_receipts'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
),

orders as (
  select order_id, item_id, max(from_id) as supplier_id, min(known_at) as known_at
  from {{ ref('int_orders_placed') }}
  where kind = 'purchase'
  group by order_id, item_id
)

select
  receipts.order_id,
  receipts.line_id,
  receipts.item_id,
  receipts.location_id,
  coalesce(receipts.supplier_id, orders.supplier_id) as supplier_id,
  receipts.quantity,
  receipts.event_at,
  case
    when receipts.supplier_id is null then greatest(receipts.known_at, orders.known_at) else receipts.known_at
  end as known_at,
  receipts.is_current
from receipts
left join orders on receipts.order_id = orders.order_id and receipts.item_id = orders.item_id

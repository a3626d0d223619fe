-- what came in (below zero: what was sent back to the supplier), every version; a receipt that names no supplier has its order's
with orders as (
  select order_key, item_id, max(from_id) as supplier_id, min(known_at) as known_at
  from {{ ref('int_orders_placed') }}
  where kind = 'purchase'
  group by order_key, item_id
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
from {{ ref('int_receipts_stated') }} as receipts
left join orders on receipts.order_key = orders.order_key and receipts.item_id = orders.item_id

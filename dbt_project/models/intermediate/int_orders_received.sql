-- what has come in for each order line, and when it was complete; a receipt that names no line counts for its order's item
with receipts as (
  {{ identified(ref('stg_receipts'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
),

counted as (
  select
    placed.order_id, placed.line_id, placed.kind, placed.item_id, placed.location_id, placed.from_id, placed.quantity, placed.ordered_at,
    placed.due_at, placed.unit_cost, placed.origin, placed.known_at as placed_known_at,
    case when placed.kind = 'transfer' and placed.received_at <= {{ now_at() }} then placed.quantity end as transferred,
    case when placed.received_at <= {{ now_at() }} then placed.received_at end as transferred_at,
    sum(receipts.quantity) as received_quantity,
    max(receipts.event_at) as last_received_at,
    max(receipts.known_at) as received_known_at
  from {{ ref('int_orders_placed') }} as placed
  left join receipts
    on receipts.is_current and placed.kind = 'purchase'
    and placed.order_id = receipts.order_id
    and placed.item_id = receipts.item_id
    and placed.location_id = receipts.location_id
    and (placed.line_id = receipts.line_id or placed.line_id is null or receipts.line_id is null)
  group by all
)

select
  order_id, line_id, kind, item_id, location_id, from_id, quantity, ordered_at, due_at, unit_cost, origin,
  coalesce(received_quantity, transferred, 0) as received_quantity,
  case
    when kind = 'transfer' then transferred_at
    when received_quantity >= quantity then last_received_at
  end as received_at,
  greatest(placed_known_at, received_known_at) as known_at
from counted

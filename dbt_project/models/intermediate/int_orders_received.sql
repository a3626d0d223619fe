{{ config(materialized='table') }}
-- What has come in for each order line, and when it was complete. A receipt that names no line counts for its order's item. Where a
-- world never reports arrivals of a kind, a line is taken as received when it was due, unless its status says that it has not come. A line is closed, and waited for no longer, when
-- its status says so or it is overdue beyond belief. What was sent back to the supplier (a receipt below zero) was not received and is
-- waited for again; arrived_at still says when all had come.
with counted as (
  select
    placed.order_id, placed.line_id, placed.kind, placed.item_id, placed.location_id, placed.from_id, placed.quantity, placed.ordered_at,
    placed.due_at, placed.unit_cost, placed.origin, placed.known_at, placed.received_at as transferred_at,
    placed.is_over, placed.is_awaited, placed.given_up_at,
    greatest(sum(receipts.quantity), 0) as receipt_quantity,
    sum(receipts.quantity) filter (where receipts.quantity > 0) as arrived_quantity,
    max(receipts.event_at) filter (where receipts.quantity > 0) as receipt_at,
    max(receipts.known_at) as receipt_known_at
  from {{ ref('int_orders_placed') }} as placed
  left join {{ ref('int_receipts_stated') }} as receipts
    on receipts.is_current and placed.kind = 'purchase'
    and placed.order_key = receipts.order_key
    and placed.item_id = receipts.item_id
    and placed.location_id = receipts.location_id
    and (placed.line_key = receipts.line_key or placed.line_id is null or receipts.line_id is null)
  group by all
),

seen as (
  select
    *,
    case when kind = 'transfer' then transferred_at when receipt_quantity >= quantity then receipt_at end as seen_at,
    case when arrived_quantity >= quantity and receipt_at <= {{ now_at() }} then receipt_at end as arrived_at,
    not case kind
      when 'purchase' then exists (select 1 from {{ ref('stg_receipts') }})
      else exists (select 1 from {{ ref('stg_transfers') }} where received_at is not null)
    end and due_at < {{ now_at() }} and not coalesce(is_awaited, false) as is_assumed
  from counted
)

select
  order_id, line_id, kind, item_id, location_id, from_id, quantity, ordered_at, due_at, unit_cost, origin, is_assumed,
  case
    when is_assumed or (kind = 'transfer' and seen_at <= {{ now_at() }}) then quantity
    else coalesce(receipt_quantity, 0)
  end as received_quantity,
  arrived_at,
  case when is_assumed then due_at when seen_at <= {{ now_at() }} then seen_at end as received_at,
  case
    when is_assumed or seen_at <= {{ now_at() }} then null
    when is_over then known_at
    when given_up_at <= {{ now_at() }} then given_up_at
  end as closed_at,
  is_over,
  greatest(known_at, receipt_known_at) as known_at
from seen

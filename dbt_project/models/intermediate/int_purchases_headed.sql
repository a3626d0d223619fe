-- Order lines to suppliers, every version. A line that lacks its date or its place takes them, and supplier, promised day and status where
-- it lacks those too, from its order's header, and is known when both are.
with headers as (
  {{ newest('stg_orders', ['order_key'], ['event_at', 'location_id', 'supplier_id', 'promised_at', 'status', 'known_at']) }}
),

found as (
  select
    lines.order_id, lines.item_id, coalesce(lines.location_id, headers.location_id) as location_id, lines.quantity,
    coalesce(lines.event_at, headers.event_at) as event_at, lines.line_id, coalesce(lines.due_at, headers.promised_at) as due_at,
    coalesce(lines.supplier_id, headers.supplier_id) as supplier_id, lines.unit_cost, lines.currency, lines.unit, coalesce(lines.status, headers.status) as status,
    lines.row_key, lines.row_hash,
    greatest(
      coalesce(lines.known_at, headers.event_at + {{ lag_of('lines.known_lag') }}), headers.known_at, lines.handed_over_at
    ) as known_at,
    lines.handed_over_at, lines.source_id
  from {{ ref('stg_purchase_orders') }} as lines
  inner join headers on {{ document_key('lines.order_id') }} = headers.order_key
  where lines.location_id is null or lines.event_at is null
),

known as (
  select * from found where known_at <= {{ now_at() }} and location_id is not null and event_at is not null
)

select
  order_id, item_id, location_id, quantity, event_at, line_id, due_at, supplier_id, unit_cost, currency, unit, status, row_key, row_hash, known_at,
  handed_over_at, source_id, valid_until, is_current
from {{ ref('stg_purchase_orders') }}
where location_id is not null and event_at is not null
union all
select * from ({{ versions('known') }}) as versioned

-- By how much each order line changed what is on order, and when that became known: ordered, changed, received, withdrawn. Every version
-- speaks until the next one is known; the ledger's document until the systems show its order id. Where a world never reports arrivals of
-- a kind, a line is taken as received when it was due, unless its status says that it has not come; a closed line, and one overdue beyond belief, waits for nothing. Summed to Now it is what fct_open_orders holds.
with transfers as (
  {{ identified(ref('stg_transfers'), {'item_id': 'item', 'from_id': 'location', 'to_id': 'location'}) }}
),

placed as (
  select
    {{ document_key('order_id') }} as order_id, {{ document_key('line_id') }} as line_id, 'purchase' as kind, item_id, location_id,
    case when source_id = 'ledger' then 'ledger' else 'erp' end as origin, quantity,
    case
      when is_over then known_at
      when not exists (select 1 from {{ ref('stg_receipts') }}) and due_at < {{ now_at() }} and not coalesce(is_awaited, false) then due_at
      when given_up_at <= {{ now_at() }} then given_up_at
    end as closes_at,
    known_at, valid_until, handed_over_at, row_hash, source_id
  from {{ ref('int_purchases_stated') }}
  union all
  select
    {{ document_key('transfer_id') }}, null, 'transfer', item_id, to_id, case when source_id = 'ledger' then 'ledger' else 'erp' end, quantity,
    case
      when received_at <= {{ now_at() }} then received_at
      when not exists (select 1 from transfers where received_at is not null) and due_at < {{ now_at() }} then due_at
      when {{ given_up_at('event_at', 'due_at') }} <= {{ now_at() }} then {{ given_up_at('event_at', 'due_at') }}
    end,
    known_at, valid_until, handed_over_at, row_hash, source_id
  from transfers
),

-- rows of one line that one source told at once are its parts
stated as (
  select
    order_id, line_id, kind, item_id, location_id, origin, sum(quantity) as quantity, max(closes_at) as closes_at, known_at,
    max(valid_until) as valid_until, handed_over_at, max(row_hash) as row_hash
  from placed
  where valid_until is null or known_at < valid_until
  group by order_id, line_id, kind, item_id, location_id, origin, source_id, known_at, handed_over_at
),

spoken as (
  select
    order_id, line_id, kind, item_id, location_id, origin, quantity, closes_at, known_at,
    least(
      valid_until,
      lead(known_at) over (
        partition by kind, order_id, line_id, item_id, location_id, origin
        order by known_at, handed_over_at nulls first, row_hash nulls first
      ),
      case when origin = 'ledger' then min(case when origin = 'erp' then known_at end) over (partition by kind, order_id) end
    ) as ends_at
  from stated
),

versions as (
  select * from spoken where ends_at is null or known_at < ends_at
),

lines as (
  select distinct order_id, line_id, item_id, location_id, origin from versions where kind = 'purchase'
),

told as (
  select
    order_id, line_id, kind, item_id, location_id, origin, known_at, case when closes_at <= known_at then 0 else quantity end as starts_with,
    null as ends_with, 0 as received
  from versions
  union all
  select order_id, line_id, kind, item_id, location_id, origin, closes_at, null, 0, 0
  from versions
  where closes_at > known_at and (ends_at is null or closes_at < ends_at)
  union all
  select order_id, line_id, kind, item_id, location_id, origin, ends_at, null, 0, 0
  from versions
  where ends_at is not null
  union all
  select
    lines.order_id, lines.line_id, 'purchase', lines.item_id, lines.location_id, lines.origin,
    case when change.is_withdrawn then receipts.valid_until else receipts.known_at end, null, null,
    case when change.is_withdrawn then -receipts.quantity else receipts.quantity end
  from lines
  inner join {{ ref('int_receipts_stated') }} as receipts
    on lines.order_id = receipts.order_key
    and lines.item_id = receipts.item_id
    and lines.location_id = receipts.location_id
    and (lines.line_id = receipts.line_key or lines.line_id is null or receipts.line_key is null)
  cross join (select false as is_withdrawn union all select true) as change
  where receipts.valid_until is null and not change.is_withdrawn or receipts.known_at < receipts.valid_until
),

moments as (
  select
    order_id, line_id, kind, item_id, location_id, origin, known_at,
    -- a version that begins as another ends is the one that counts
    coalesce(max(starts_with), max(ends_with)) as quantity,
    sum(received) as received
  from told
  group by order_id, line_id, kind, item_id, location_id, origin, known_at
),

waiting as (
  select
    order_id, line_id, kind, item_id, location_id, origin, known_at,
    greatest(coalesce({{ last_known('quantity') }} over so_far, 0) - greatest(sum(received) over so_far, 0), 0) as quantity
  from moments
  window so_far as (
    partition by order_id, line_id, kind, item_id, location_id, origin order by known_at rows between unbounded preceding and current row
  )
),

compared as (
  select
    order_id, line_id, kind, item_id, location_id, origin, known_at,
    quantity - coalesce(
      lag(quantity) over (partition by order_id, line_id, kind, item_id, location_id, origin order by known_at), 0
    ) as on_order_change
  from waiting
)

select order_id, line_id, kind, item_id, location_id, origin, on_order_change, known_at
from compared
where on_order_change <> 0

-- By how much each order line changed what is on order, and when that became known: ordered, changed, received, withdrawn. Every version
-- speaks until the next one is known; the ledger's document until the systems show its order id. Where a world never reports arrivals of
-- a kind, a line is taken as received when it was due. Summed to Now it is what fct_open_orders holds.
with purchases as (
  {{ identified(ref('stg_purchase_orders'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
),

transfers as (
  {{ identified(ref('stg_transfers'), {'item_id': 'item', 'from_id': 'location', 'to_id': 'location'}) }}
),

receipts as (
  {{ identified(ref('stg_receipts'), {'item_id': 'item', 'location_id': 'location'}) }}
),

placed as (
  select
    order_id, line_id, 'purchase' as kind, item_id, location_id, case when source_id = 'ledger' then 'ledger' else 'erp' end as origin,
    quantity, case when not exists (select 1 from receipts) and due_at < {{ now_at() }} then due_at end as closes_at,
    known_at, valid_until, handed_over_at, row_hash
  from purchases
  union all
  select
    transfer_id, null, 'transfer', item_id, to_id, case when source_id = 'ledger' then 'ledger' else 'erp' end, quantity,
    case
      when exists (select 1 from transfers where received_at is not null) then case when received_at <= {{ now_at() }} then received_at end
      when due_at < {{ now_at() }} then due_at
    end,
    known_at, valid_until, handed_over_at, row_hash
  from transfers
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
  from placed
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
  inner join receipts
    on lines.order_id = receipts.order_id
    and lines.item_id = receipts.item_id
    and lines.location_id = receipts.location_id
    and (lines.line_id = receipts.line_id or lines.line_id is null or receipts.line_id is null)
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
    greatest(coalesce(last_value(quantity ignore nulls) over so_far, 0) - sum(received) over so_far, 0) as quantity
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

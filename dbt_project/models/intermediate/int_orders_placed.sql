{{ config(materialized='table') }}
-- Every order line once: purchases and transfers, from the systems and from our own ledger. The ledger's document counts until the
-- systems show the same order id.
with transfers as (
  {{ identified(ref('stg_transfers'), {'item_id': 'item', 'from_id': 'location', 'to_id': 'location'}) }}
),

placed as (
  select
    order_id, line_id, 'purchase' as kind, item_id, location_id, supplier_id as from_id, quantity, event_at as ordered_at, due_at,
    cast(null as timestamp) as received_at, unit_cost, source_id, known_at, handed_over_at, row_hash, is_over, is_awaited,
    given_up_at
  from {{ ref('int_purchases_stated') }}
  where is_current
  union all
  select
    transfer_id, null, 'transfer', item_id, to_id, from_id, quantity, event_at, due_at, received_at, null, source_id, known_at,
    handed_over_at, row_hash, false, false, {{ given_up_at('event_at', 'due_at') }}
  from transfers
  where is_current
),

keyed as (
  select
    *,
    {{ document_key('order_id') }} as order_key,
    {{ document_key('line_id') }} as line_key,
    case when source_id = 'ledger' then 'ledger' else 'erp' end as origin
  from placed
),

lines as (
  select
    *,
    bool_or(source_id <> 'ledger') over (partition by kind, order_key) as is_in_erp,
    -- two rows of one line that one source told at once are its parts; otherwise the newest counts
    rank() over line as newest
  from keyed
  window line as (
    partition by kind, order_key, line_key, item_id, location_id, origin
    order by known_at desc, handed_over_at desc nulls last, source_id
  )
)

select
  min(order_id) as order_id, min(line_id) as line_id, kind, item_id, location_id, min(from_id) as from_id, sum(quantity) as quantity,
  min(ordered_at) as ordered_at, max(due_at) as due_at, max(received_at) as received_at, max(unit_cost) as unit_cost, origin, known_at,
  bool_and(is_over) as is_over, bool_or(is_awaited) as is_awaited, max(given_up_at) as given_up_at, order_key, line_key
from lines
where newest = 1 and (origin = 'erp' or not is_in_erp)
group by kind, order_key, line_key, item_id, location_id, origin, known_at

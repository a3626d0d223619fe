-- Every order line once: purchases and transfers, from the systems and from our own ledger. The ledger's document counts until the
-- systems show the same order id.
with purchases as (
  {{ identified(ref('stg_purchase_orders'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
),

transfers as (
  {{ identified(ref('stg_transfers'), {'item_id': 'item', 'from_id': 'location', 'to_id': 'location'}) }}
),

placed as (
  select
    order_id, line_id, 'purchase' as kind, item_id, location_id, supplier_id as from_id, quantity, event_at as ordered_at, due_at,
    cast(null as timestamp) as received_at, unit_cost, source_id, known_at, handed_over_at, row_hash
  from purchases
  where is_current
  union all
  select
    transfer_id, null, 'transfer', item_id, to_id, from_id, quantity, event_at, due_at, received_at, null, source_id, known_at,
    handed_over_at, row_hash
  from transfers
  where is_current
),

lines as (
  select
    *,
    case when source_id = 'ledger' then 'ledger' else 'erp' end as origin,
    bool_or(source_id <> 'ledger') over (partition by kind, order_id) as is_in_erp,
    row_number() over (
      partition by kind, order_id, line_id, item_id, location_id, source_id = 'ledger'
      order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
    ) as newest
  from placed
)

select order_id, line_id, kind, item_id, location_id, from_id, quantity, ordered_at, due_at, received_at, unit_cost, origin, known_at
from lines
where newest = 1 and (origin = 'erp' or not is_in_erp)

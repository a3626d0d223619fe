-- when each item was first met in any fact, declared or not
with stock as ({{ identified(ref('stg_stock'), {'item_id': 'item'}) }}),

purchase_orders as ({{ identified(ref('int_purchases_headed'), {'item_id': 'item'}) }}),

receipts as ({{ identified(ref('stg_receipts'), {'item_id': 'item'}) }}),

transfers as ({{ identified(ref('stg_transfers'), {'item_id': 'item'}) }}),

shipments as ({{ identified(ref('stg_shipments'), {'item_id': 'item'}) }}),

supplier_terms as ({{ identified(ref('stg_supplier_terms'), {'item_id': 'item'}) }}),

bills as ({{ identified(ref('stg_bills_of_materials'), {'item_id': 'item', 'part_id': 'item'}) }}),

seen as (
  select item_id, known_at from {{ ref('int_series_started') }}
  union all select item_id, known_at from {{ ref('int_returns_matched') }}
  union all select item_id, known_at from stock
  union all select item_id, known_at from purchase_orders
  union all select item_id, known_at from receipts
  union all select item_id, known_at from transfers
  union all select item_id, known_at from shipments
  union all select item_id, known_at from supplier_terms
  union all select part_id, known_at from bills
)

select item_id, min(known_at) as known_at from seen where item_id is not null group by item_id

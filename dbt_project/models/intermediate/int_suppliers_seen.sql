-- when each supplier was first met; items nobody is known to supply have the one implicit supplier
with items as ({{ identified(ref('stg_items'), {'supplier_id': 'supplier'}) }}),

receipts as ({{ identified(ref('stg_receipts'), {'supplier_id': 'supplier'}) }}),

seen as (
  select supplier_id, known_at from items
  union all select supplier_id, known_at from receipts
  union all select from_id, known_at from {{ ref('int_orders_placed') }} where kind = 'purchase'
  union all select supplier_id, known_at from {{ ref('dim_supplier_terms') }}
  union all
  select supplier_id, known_at from {{ ref('int_items_sourced') }} where supplier_id = '{{ var("implicit_supplier") }}'
)

select supplier_id, min(known_at) as known_at from seen where supplier_id is not null group by supplier_id

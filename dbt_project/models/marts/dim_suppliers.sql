-- every supplier ever declared or met in a fact, with its history
with suppliers as (
  {{ identified(ref('stg_suppliers'), {'supplier_id': 'supplier'}) }}
),

things as (
  select supplier_id, name, region_id, payment_days, true as is_declared, known_at, handed_over_at, row_hash from suppliers
  union all
  select supplier_id, null, null, null, false, known_at, null, null from {{ ref('int_suppliers_seen') }}
),

{{ history('things', ['supplier_id'], ['name', 'region_id', 'payment_days']) }}

select supplier_id, name, region_id, payment_days, is_declared, known_at, valid_from, valid_to, is_current from history

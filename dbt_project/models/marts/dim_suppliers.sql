-- every supplier ever declared or met in a fact, with its history
with suppliers as (
  {{ identified(ref('stg_suppliers'), {'supplier_id': 'supplier'}) }}
),

things as (
  select
    supplier_id, name, region_id, country, payment_days, order_days, order_until, working_days, true as is_declared, known_at, handed_over_at, row_hash from suppliers
  union all
  select supplier_id, null, null, null, null, null, null, null, false, known_at, null, null from {{ ref('int_suppliers_seen') }}
),

{{ history('things', ['supplier_id'], ['name', 'region_id', 'country', 'payment_days', 'order_days', 'order_until', 'working_days']) }}

select
  supplier_id, name, region_id, country, payment_days, order_days, order_until, working_days,
  coalesce(
    right('0' || split_part(trim(order_until), ':', 1), 2) || ':' || split_part(order_until, ':', 2) < {{ world('orders_leave_at') }}, false
  ) as is_cut_off_missed,
  is_declared, known_at, valid_from, valid_to, is_current
from history

-- on what terms a supplier sells an item, by price break, with their history
with terms as (
  {{ identified(ref('stg_supplier_terms'), {'item_id': 'item', 'supplier_id': 'supplier'}) }}
),

things as (
  select
    item_id, supplier_id, coalesce(from_quantity, 0) as from_quantity, lead_time_days, moq, order_multiple, unit_cost,
    true as is_declared, known_at, handed_over_at, row_hash
  from terms
),

{{ history('things', ['item_id', 'supplier_id', 'from_quantity'], ['lead_time_days', 'moq', 'order_multiple', 'unit_cost']) }}

select
  item_id, supplier_id, lead_time_days, moq, order_multiple, from_quantity, unit_cost, known_at, valid_from, valid_to, is_current
from history

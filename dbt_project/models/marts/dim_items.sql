-- every item ever declared or met in a fact, with its history
{%- set attributes = [
  'name', 'category', 'subcategory', 'levels', 'supplier_id', 'pack_size', 'weight_kg', 'volume_m3', 'unit_cost', 'shelf_life_days',
  'holding_cost', 'shortage_cost'
] %}
with items as (
  {{ identified(ref('stg_items'), {'item_id': 'item', 'supplier_id': 'supplier'}) }}
),

declared as (
  select
    item_id, name, {{ element('levels', 1) }} as category, {{ element('levels', 2) }} as subcategory, levels, supplier_id, pack_size, weight_kg, volume_m3,
    unit_cost * {{ exchanged('items') }} as unit_cost, shelf_life_days, holding_cost * {{ exchanged('items') }} as holding_cost,
    shortage_cost * {{ exchanged('items') }} as shortage_cost, true as is_declared, known_at, handed_over_at, row_hash
  from items
  {{ join_rates('items', now_at()) }}
),

seen as (
  select
    item_id, null, null, null, null, null, null, null, null, null, null, null, null, false, known_at, null, null
  from {{ ref('int_items_seen') }}
),

things as (
  select * from declared
  union all
  select * from seen
),

{{ history('things', ['item_id'], attributes) }}

select
  item_id, name, category, subcategory, levels, supplier_id, pack_size, weight_kg, volume_m3, {{ unit_money('unit_cost') }} as unit_cost,
  shelf_life_days, {{ unit_money('holding_cost') }} as holding_cost, {{ unit_money('shortage_cost') }} as shortage_cost, is_declared, known_at, valid_from, valid_to, is_current
from history

{{ config(materialized='table') }}
-- Lines in a unit that is not the item's own and of which nobody says what it holds: they count nowhere, for counted as one piece each they
-- would be wrong by as much as a pallet holds.
{%- set located = {'item_id': 'item', 'location_id': 'location'} %}
{%- set tables = {
  'sales': located, 'returns': located, 'purchase_orders': located, 'receipts': located, 'stock': located, 'customer_orders': located,
  'supplier_terms': {'item_id': 'item'},
} %}
with packs as ({{ packs() }}),

said as (
  {%- for name, kinds in tables.items() %}
  select
    '{{ name }}' as told_in, item_id, {{ 'location_id' if 'location_id' in kinds else 'cast(null as string)' }} as location_id, unit,
    source_id, delivery, row_no
  from ({{ identified(ref('stg_' ~ name), kinds) }}) as {{ name }}
  where is_current and unit is not null
  {{- ' union all ' if not loop.last }}
  {%- endfor %}
)

select said.told_in, said.item_id, said.location_id, said.unit, said.source_id, said.delivery, said.row_no
from said
{{ join_packs('said') }}
where {{ units_held('said') }} is null

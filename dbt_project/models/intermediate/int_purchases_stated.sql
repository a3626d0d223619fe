{{ config(materialized='table') }}
-- order lines to suppliers with ids resolved, in base units, every version; who supplies is said by the order, else by the item
with packs as ({{ packs() }}),

stated as (
  {{ identified(ref('int_purchases_headed'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
),

items as ({{ newest('stg_items', ['item_id'], ['supplier_id']) }})

select
  stated.order_id, stated.line_id, stated.item_id, stated.location_id,
  coalesce(stated.supplier_id, items.supplier_id, '{{ var("implicit_supplier") }}') as supplier_id,
  stated.quantity * {{ units_held('stated') }} as quantity,
  stated.unit_cost * {{ exchanged('stated') }} / {{ units_held('stated') }} as unit_cost,
  stated.event_at, stated.due_at, stated.source_id, stated.row_hash, stated.handed_over_at,
  {{ is_over('stated.status') }} as is_over,
  {{ is_awaited('stated.status') }} as is_awaited,
  {{ given_up_at('stated.event_at', 'stated.due_at') }} as given_up_at,
  greatest(stated.known_at, packs.known_at) as known_at, stated.valid_until, stated.is_current
from stated
{{ join_packs('stated') }}
{{ join_rates('stated', 'stated.event_at') }}
left join items on stated.supplier_id is null and stated.item_id = items.item_id
where {{ units_held('stated') }} is not null

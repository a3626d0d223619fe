-- what came in with ids resolved and in base units, every version
with packs as ({{ packs() }}),

stated as (
  {{ identified(ref('stg_receipts'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
)

select
  stated.order_id, stated.line_id, {{ document_key('stated.order_id') }} as order_key, {{ document_key('stated.line_id') }} as line_key,
  stated.item_id, stated.location_id, stated.supplier_id, stated.quantity * {{ units_held('stated') }} as quantity, stated.event_at,
  greatest(stated.known_at, packs.known_at) as known_at, stated.valid_until, stated.is_current
from stated
{{ join_packs('stated') }}

{{ config(materialized='table') }}
-- What came in with ids resolved and in base units, every version. What says no place came to that of the order it names, and is known when
-- both are; one whose order says none, or several, came nowhere.
with packs as ({{ packs() }}),

stated as (
  {{ identified(ref('stg_receipts'), {'item_id': 'item', 'location_id': 'location', 'supplier_id': 'supplier'}) }}
),

ordered as (
  select {{ document_key('order_id') }} as order_key, item_id, min(location_id) as location_id, min(known_at) as known_at
  from {{ ref('int_purchases_stated') }}
  where is_current and exists (select 1 from stated where location_id is null)
  group by 1, 2
  having count(distinct location_id) = 1
),

placed as (
  select
    {{ all_with('stated', {
      'location_id': 'coalesce(stated.location_id, ordered.location_id)',
      'known_at': 'greatest(stated.known_at, ordered.known_at)',
    }) }}
  from stated
  left join ordered
    on stated.location_id is null and {{ document_key('stated.order_id') }} = ordered.order_key and stated.item_id = ordered.item_id
  where stated.location_id is not null or ordered.location_id is not null
)

select
  placed.order_id, placed.line_id, {{ document_key('placed.order_id') }} as order_key, {{ document_key('placed.line_id') }} as line_key,
  placed.item_id, placed.location_id, placed.supplier_id, placed.quantity * {{ units_held('placed') }} as quantity, placed.event_at,
  greatest(placed.known_at, packs.known_at) as known_at, placed.valid_until, placed.is_current
from placed
{{ join_packs('placed') }}
where (placed.valid_until is null or placed.known_at < placed.valid_until) and {{ units_held('placed') }} is not null

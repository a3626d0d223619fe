-- what customers have ordered and not got yet, at Now: kits as their parts, and what has taken an item's place instead of it
with packs as ({{ packs() }}),

stated as (
  {{ identified(ref('stg_customer_orders'), {'item_id': 'item', 'location_id': 'location'}) }}
),

headers as ({{ newest('stg_orders', ['order_key'], ['promised_at', 'status']) }}),

lines as (
  select
    stated.order_id, stated.line_id, stated.item_id, stated.location_id, stated.event_at as ordered_at,
    coalesce(stated.due_at, headers.promised_at) as due_at, stated.row_key, stated.is_current,
    greatest(stated.quantity - coalesce(stated.delivered_quantity, 0), 0) * {{ units_held('stated') }} as quantity,
    cast(null as double) as revenue, greatest(stated.known_at, packs.known_at) as known_at
  from stated
  {{ join_packs('stated') }}
  left join headers on {{ document_key('stated.order_id') }} = headers.order_key
  where stated.is_current and not {{ is_over('coalesce(stated.status, headers.status)') }} and {{ units_held('stated') }} is not null
),

parts as ({{ taken_apart('lines') }}),

owed as ({{ inherited('parts', ['quantity']) }})

select
  order_id, line_id, item_id, location_id, cast(sum(quantity) as double) as quantity, {{ local_day('min(ordered_at)') }} as ordered_on,
  {{ local_day('min(due_at)') }} as due_on, max(known_at) as known_at
from owed
where quantity > 0
group by order_id, line_id, item_id, location_id

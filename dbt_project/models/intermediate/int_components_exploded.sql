{{ config(materialized='table') }}
-- What one sold kit takes of each part, through kits of kits. A kit is put together when it is sold: what was ever found in stock or ordered
-- by itself is an item like any other; systems list kits at zero, or below where sales are booked on them.
with recursive stated as (
  {{ identified(ref('stg_components'), {'item_id': 'item', 'part_id': 'item'}) }}
),

ranked as (
  select
    item_id, part_id, quantity, known_at,
    row_number() over (
      partition by item_id, part_id order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
    ) as newest
  from stated
  where is_current and quantity > 0 and item_id <> part_id
),

own as (
  select item_id from ({{ identified(ref('stg_stock'), {'item_id': 'item'}) }}) as counted where on_hand > 0 or is_in_stock
  union select item_id from ({{ identified(ref('stg_purchase_orders'), {'item_id': 'item'}) }}) as ordered
),

kits as (
  select item_id as kit_id, part_id, quantity, known_at from ranked where newest = 1 and item_id not in (select item_id from own)
),

exploded as (
  select kit_id, part_id, quantity, known_at, 1 as depth from kits
  union all
  select exploded.kit_id, kits.part_id, exploded.quantity * kits.quantity, greatest(exploded.known_at, kits.known_at), depth + 1
  from exploded
  inner join kits on exploded.part_id = kits.kit_id
  where depth < 10
)

select kit_id, part_id, sum(quantity) as quantity, max(known_at) as known_at
from exploded
where part_id not in (select kit_id from kits)
group by kit_id, part_id

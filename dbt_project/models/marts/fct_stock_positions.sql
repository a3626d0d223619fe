-- Stock of every planned item and location at Now: the last count and all that moved since, and what is on its way. Where nothing was
-- ever counted the stock is taken as zero and stock_known_at is empty; is_unknown where goods have moved there all the same.
with counts as (
  select item_id, location_id, event_at, on_hand, known_at
  from (
    select *, row_number() over (partition by item_id, location_id order by event_at desc, known_at desc) as newest
    from {{ ref('fct_stock') }}
    where is_current and on_hand is not null
  ) as ranked
  where newest = 1
),

moved as (
  select counts.item_id, counts.location_id, sum(moves.delta) as delta, max(moves.known_at) as known_at
  from counts
  inner join {{ ref('int_stock_moved') }} as moves
    on counts.item_id = moves.item_id and counts.location_id = moves.location_id and moves.event_at >= counts.event_at
    and moves.event_at <= {{ now_at() }}
  group by counts.item_id, counts.location_id
),

uncounted as (
  select distinct moves.item_id, moves.location_id
  from {{ ref('int_stock_moved') }} as moves
  left join counts on moves.item_id = counts.item_id and moves.location_id = counts.location_id
  where counts.item_id is null
),

on_order as (
  select item_id, location_id, sum(quantity) as quantity
  from {{ ref('fct_open_orders') }}
  group by item_id, location_id
)

select
  planned.item_id,
  planned.location_id,
  coalesce(counts.on_hand, 0) + coalesce(moved.delta, 0) as on_hand,
  coalesce(on_order.quantity, 0) as on_order,
  coalesce(counts.on_hand, 0) + coalesce(moved.delta, 0) + coalesce(on_order.quantity, 0) as position,
  greatest(counts.known_at, moved.known_at) as stock_known_at,
  uncounted.item_id is not null as is_unknown
from {{ ref('int_item_locations_planned') }} as planned
left join counts on planned.item_id = counts.item_id and planned.location_id = counts.location_id
left join moved on planned.item_id = moved.item_id and planned.location_id = moved.location_id
left join on_order on planned.item_id = on_order.item_id and planned.location_id = on_order.location_id
left join uncounted on planned.item_id = uncounted.item_id and planned.location_id = uncounted.location_id

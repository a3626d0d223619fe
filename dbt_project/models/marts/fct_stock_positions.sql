-- Stock of every planned item and location at Now: the last count and all that moved since, and what is on its way. Where nothing was
-- ever counted the stock is taken as zero and stock_known_at is empty; is_unknown where goods have moved there all the same.
with uncounted as (
  select distinct moves.item_id, moves.location_id
  from {{ ref('int_stock_moved') }} as moves
  left join {{ ref('int_stock_present') }} as there on moves.item_id = there.item_id and moves.location_id = there.location_id
  where there.known_at is null
),

-- what is left of items whose place another has taken is used first
inherited as (
  select heirs.successor_id as item_id, there.location_id, sum(there.on_hand * heirs.share) as on_hand, max(there.known_at) as known_at
  from {{ ref('int_stock_present') }} as there
  inner join {{ ref('dim_successions') }} as heirs on there.item_id = heirs.item_id
  group by heirs.successor_id, there.location_id
),

on_order as (
  select coalesce(heirs.successor_id, orders.item_id) as item_id, orders.location_id, sum(orders.quantity * coalesce(heirs.share, 1)) as quantity
  from {{ ref('fct_open_orders') }} as orders
  left join {{ ref('dim_successions') }} as heirs on orders.item_id = heirs.item_id
  group by 1, 2
)

select
  planned.item_id,
  planned.location_id,
  coalesce(there.on_hand, 0) + coalesce(inherited.on_hand, 0) as on_hand,
  coalesce(inherited.on_hand, 0) as inherited,
  coalesce(on_order.quantity, 0) as on_order,
  coalesce(there.on_hand, 0) + coalesce(inherited.on_hand, 0) + coalesce(on_order.quantity, 0) as position,
  greatest(there.known_at, inherited.known_at) as stock_known_at,
  uncounted.item_id is not null and inherited.item_id is null as is_unknown
from {{ ref('int_item_locations_planned') }} as planned
left join {{ ref('int_stock_present') }} as there on planned.item_id = there.item_id and planned.location_id = there.location_id
left join inherited on planned.item_id = inherited.item_id and planned.location_id = inherited.location_id
left join on_order on planned.item_id = on_order.item_id and planned.location_id = on_order.location_id
left join uncounted on planned.item_id = uncounted.item_id and planned.location_id = uncounted.location_id

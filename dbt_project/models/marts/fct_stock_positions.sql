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

-- what the newest count found and cannot be sold: blocked, past its date or promised to somebody
newest as (
  select item_id, location_id, max(event_at) as event_at
  from {{ ref('fct_stock') }}
  where is_current and on_hand is not null
  group by item_id, location_id
),

aside as (
  select
    lots.item_id, lots.location_id,
    sum(lots.on_hand - case when lots.expires_on <= {{ local_day(now_at()) }} then least(lots.available, 0) else lots.available end) as quantity
  from {{ ref('fct_stock_lots') }} as lots
  inner join newest on lots.item_id = newest.item_id and lots.location_id = newest.location_id and lots.event_at = newest.event_at
  where lots.is_current
  group by lots.item_id, lots.location_id
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
  coalesce(aside.quantity, 0) as set_aside,
  coalesce(on_order.quantity, 0) as on_order,
  coalesce(there.on_hand, 0) + coalesce(inherited.on_hand, 0) + coalesce(on_order.quantity, 0) as position,
  greatest(there.known_at, inherited.known_at) as stock_known_at,
  there.as_of as stock_as_of,
  uncounted.item_id is not null and inherited.item_id is null as is_unknown
from {{ ref('int_item_locations_planned') }} as planned
left join {{ ref('int_stock_present') }} as there on planned.item_id = there.item_id and planned.location_id = there.location_id
left join inherited on planned.item_id = inherited.item_id and planned.location_id = inherited.location_id
left join aside on planned.item_id = aside.item_id and planned.location_id = aside.location_id
left join on_order on planned.item_id = on_order.item_id and planned.location_id = on_order.location_id
left join uncounted on planned.item_id = uncounted.item_id and planned.location_id = uncounted.location_id

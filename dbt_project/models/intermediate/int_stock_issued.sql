-- what left each location in the year before Now, and what lay there on average: the two sides of turns and margin on stock
with held as (
  select item_id, location_id, avg(on_hand) as mean_on_hand, count(*) as periods
  from {{ ref('int_stock_closed') }}
  where period_ends_at > {{ now_at() }} - interval 365 day
  group by item_id, location_id
),

issued as (
  select moves.item_id, moves.location_id, -sum(moves.delta) as issued_quantity
  from {{ ref('int_stock_moved') }} as moves
  inner join held on moves.item_id = held.item_id and moves.location_id = held.location_id
  where moves.kind in ('sale', 'departure', 'return') and moves.event_at > {{ now_at() }} - interval 365 day
  group by moves.item_id, moves.location_id
)

select
  held.item_id,
  held.location_id,
  coalesce(issued.issued_quantity, 0) as issued_quantity,
  held.mean_on_hand,
  held.periods * {{ days_a_period() }} as held_days
from held
left join issued on held.item_id = issued.item_id and held.location_id = issued.location_id

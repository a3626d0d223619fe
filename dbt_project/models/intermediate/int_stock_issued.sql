-- what lay at each location in the closed periods of the year before Now, and what left it in the same periods: the two sides of turns
-- and margin on stock
with held as (
  select
    item_id, location_id, avg(on_hand) as mean_on_hand, count(*) as periods,
    {{ midnight_of('min(period_start)') }} as starts_at, max(period_ends_at) as ends_at
  from {{ ref('int_stock_closed') }}
  where period_start >= {{ local_day(now_at()) }} - 365
  group by item_id, location_id
),

issued as (
  select moves.item_id, moves.location_id, -sum(moves.delta) as issued_quantity
  from {{ ref('int_stock_moved') }} as moves
  inner join held on moves.item_id = held.item_id and moves.location_id = held.location_id
  where moves.kind in ('sale', 'departure', 'return') and moves.event_at >= held.starts_at and moves.event_at < held.ends_at
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

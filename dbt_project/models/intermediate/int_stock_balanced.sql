{{ config(materialized='table') }}
-- Stock after every count and movement. A count sets the level, movements change it; the difference a count finds is what the books
-- do not explain (opening + receipts - issues ± adjustments = closing).
with counts as (
  select item_id, location_id, event_at, max(on_hand) as counted, max(known_at) as known_at
  from {{ ref('fct_stock') }}
  where is_current and on_hand is not null
  group by item_id, location_id, event_at
),

first_counts as (select item_id, location_id, min(event_at) as first_at from counts group by item_id, location_id),

moves as (
  select moves.item_id, moves.location_id, moves.event_at, sum(moves.delta) as delta
  from {{ ref('int_stock_moved') }} as moves
  inner join first_counts
    on moves.item_id = first_counts.item_id and moves.location_id = first_counts.location_id and moves.event_at >= first_counts.first_at
  where moves.event_at <= {{ now_at() }}
  group by moves.item_id, moves.location_id, moves.event_at
),

events as (
  select item_id, location_id, event_at, 0 as step, counted, 0.0 as delta from counts
  union all
  select item_id, location_id, event_at, 1, null, delta from moves
),

flowed as (
  select *, sum(delta) over so_far as flow
  from events
  window so_far as (
    partition by item_id, location_id order by event_at, step rows between unbounded preceding and current row
  )
),

levelled as (
  select
    *,
    last_value(counted - flow ignore nulls) over (
      partition by item_id, location_id order by event_at, step rows between unbounded preceding and current row
    ) as base
  from flowed
)

select
  item_id,
  location_id,
  event_at,
  base + flow as on_hand,
  counted is not null as is_count,
  case
    when counted is not null then counted - flow - lag(base) over (partition by item_id, location_id order by event_at, step)
  end as difference
from levelled

{{ config(materialized='table') }}
-- Stock after every count and movement. A count sets the level, movements change it; the difference a count finds is what the books
-- do not explain (opening + receipts - issues ± adjustments = closing). What is blocked or past its date lies there all the same: it is
-- no stock to sell, and no difference.
with aside as (
  select item_id, location_id, event_at, sum(on_hand - available) as quantity
  from {{ ref('fct_stock_lots') }}
  where is_current
  group by item_id, location_id, event_at
),

counts as (
  select
    stock.item_id, stock.location_id, stock.event_at, max(stock.on_hand) as counted, coalesce(max(aside.quantity), 0) as set_aside,
    max(stock.known_at) as known_at
  from {{ ref('fct_stock') }} as stock
  left join aside
    on stock.item_id = aside.item_id and stock.location_id = aside.location_id and stock.event_at = aside.event_at
  where stock.is_current and stock.on_hand is not null
  group by stock.item_id, stock.location_id, stock.event_at
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
  select item_id, location_id, event_at, 0 as step, counted, set_aside, 0.0 as delta from counts
  union all
  select item_id, location_id, event_at, 1, null, null, delta from moves
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
    {{ last_known('counted - flow') }} over (
      partition by item_id, location_id order by event_at, step rows between unbounded preceding and current row
    ) as base,
    {{ last_known('counted + set_aside - flow') }} over (
      partition by item_id, location_id order by event_at, step rows between unbounded preceding and current row
    ) as base_in_all
  from flowed
)

select
  item_id,
  location_id,
  event_at,
  base + flow as on_hand,
  counted is not null as is_count,
  case
    when counted is not null
      then counted + set_aside - flow - lag(base_in_all) over (partition by item_id, location_id order by event_at, step)
  end as difference
from levelled

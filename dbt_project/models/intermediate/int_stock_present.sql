{{ config(materialized='table') }}
-- what of each item lies at each place at Now and can be sold: the last count, all that moved since, less lots past their date
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
  select counts.item_id, counts.location_id, sum(moves.delta) as delta, max(moves.known_at) as known_at,
    -sum(case when moves.kind in ('sale', 'departure') then moves.delta else 0 end) as issued
  from counts
  inner join {{ ref('int_stock_moved') }} as moves
    on counts.item_id = moves.item_id and counts.location_id = moves.location_id and moves.event_at >= counts.event_at
    and moves.event_at <= {{ now_at() }}
  group by counts.item_id, counts.location_id
),

-- until when each place has told its sales: one without an hour stands for its whole day
last_sold as (
  select location_id, last_at, {{ midnight_of(local_day('last_at')) }} as day_began_at
  from (
    select location_id, max(event_at) as last_at
    from {{ ref('int_stock_moved') }}
    where kind = 'sale' and event_at <= {{ now_at() }} and location_id in (select location_id from counts)
    group by location_id
  ) as sold
),

told as (
  select
    last_sold.location_id,
    case
      when count(moves.location_id) > 0
        then greatest(last_sold.last_at, least({{ midnight_of(local_day('last_sold.last_at') ~ ' + 1') }}, {{ now_at() }}))
      else last_sold.last_at
    end as until
  from last_sold
  left join {{ ref('int_stock_moved') }} as moves
    on last_sold.location_id = moves.location_id and moves.event_at = last_sold.day_began_at and moves.kind = 'sale'
  group by last_sold.location_id, last_sold.last_at
),

-- lots that passed their date since the count; what went out is thought to have been of them
expired as (
  select lots.item_id, lots.location_id, greatest(sum(lots.available) - coalesce(max(moved.issued), 0), 0) as quantity
  from {{ ref('fct_stock_lots') }} as lots
  inner join counts on lots.item_id = counts.item_id and lots.location_id = counts.location_id and lots.event_at = counts.event_at
  left join moved on lots.item_id = moved.item_id and lots.location_id = moved.location_id
  where lots.is_current and lots.expires_on > {{ local_day('lots.event_at') }} and lots.expires_on <= {{ local_day(now_at()) }}
  group by lots.item_id, lots.location_id
)

select
  counts.item_id, counts.location_id,
  counts.on_hand + coalesce(moved.delta, 0) - coalesce(expired.quantity, 0) as on_hand,
  greatest(counts.known_at, moved.known_at) as known_at,
  greatest(counts.event_at, told.until) as as_of
from counts
left join told on counts.location_id = told.location_id
left join moved on counts.item_id = moved.item_id and counts.location_id = moved.location_id
left join expired on counts.item_id = expired.item_id and counts.location_id = expired.location_id

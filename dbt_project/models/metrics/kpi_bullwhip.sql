-- how much ordering amplifies demand at each echelon: variance of weekly orders / variance of weekly demand, over the weeks that have both
with buyers as (select distinct item_id, location_id from {{ ref('int_orders_placed') }}),

events as (
  select moves.item_id, moves.location_id, {{ local_day('moves.event_at') }} as day, 0.0 as ordered, -moves.delta as demanded
  from {{ ref('int_stock_moved') }} as moves
  inner join buyers on moves.item_id = buyers.item_id and moves.location_id = buyers.location_id
  where moves.kind in ('sale', 'departure', 'return')
  union all
  select item_id, location_id, {{ local_day('ordered_at') }}, quantity, 0.0
  from {{ ref('int_orders_placed') }}
),

weeks as (select cast(date_trunc('week', day) as date) as week_start from {{ ref('dim_calendar') }} group by 1),

weekly as (
  select item_id, location_id, cast(date_trunc('week', day) as date) as week_start, sum(ordered) as ordered, sum(demanded) as demanded
  from events
  group by 1, 2, 3
),

spans as (
  select
    item_id, location_id,
    greatest(min(week_start) filter (where ordered > 0), min(week_start) filter (where demanded > 0)) as first_week,
    least(max(week_start) filter (where ordered > 0), max(week_start) filter (where demanded > 0)) as last_week
  from weekly
  group by item_id, location_id
),

filled as (
  select spans.item_id, spans.location_id, coalesce(weekly.ordered, 0) as ordered, coalesce(weekly.demanded, 0) as demanded
  from spans
  inner join weeks on weeks.week_start between spans.first_week and spans.last_week
  left join weekly
    on spans.item_id = weekly.item_id and spans.location_id = weekly.location_id and weeks.week_start = weekly.week_start
)

select
  planned.role,
  filled.item_id,
  filled.location_id,
  count(*) as weeks,
  cast(var_samp(filled.ordered) as double) as order_variance,
  cast(var_samp(filled.demanded) as double) as demand_variance,
  cast(var_samp(filled.ordered) / nullif(var_samp(filled.demanded), 0) as double) as bullwhip_ratio
from filled
inner join {{ ref('dim_item_locations') }} as planned
  on filled.item_id = planned.item_id and filled.location_id = planned.location_id
group by 1, 2, 3
having count(*) >= 8

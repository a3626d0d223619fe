{{ config(materialized='table') }}
-- stock at the end of every closed period since the first count; days come first, or the join would try every pair of rows
with dated as (select *, {{ local_day('event_at') }} as day from {{ ref('int_stock_balanced') }}),

levels as (
  select
    dated.item_id,
    dated.location_id,
    calendar.period_start,
    dated.on_hand,
    row_number() over (
      partition by dated.item_id, dated.location_id, calendar.period_start order by dated.event_at desc, dated.is_count
    ) as newest
  from dated
  inner join {{ ref('int_calendar_spined') }} as calendar on dated.day = calendar.day
),

starts as (
  select item_id, location_id, min(period_start) as period_start from levels group by item_id, location_id
),

spine as (
  select starts.item_id, starts.location_id, period.period_start, period.period_ends_at
  from starts
  inner join {{ ref('int_periods_closed') }} as period on period.period_start >= starts.period_start
)

select
  spine.item_id,
  spine.location_id,
  spine.period_start,
  spine.period_ends_at,
  {{ last_known('levels.on_hand') }} over (
    partition by spine.item_id, spine.location_id order by spine.period_start rows between unbounded preceding and current row
  ) as on_hand
from spine
left join levels
  on spine.item_id = levels.item_id and spine.location_id = levels.location_id and spine.period_start = levels.period_start
  and levels.newest = 1

{{ config(materialized='table') }}
-- stock at the end of every closed period since the first count
with levels as (
  select
    balance.item_id,
    balance.location_id,
    calendar.period_start,
    balance.on_hand,
    row_number() over (
      partition by balance.item_id, balance.location_id, calendar.period_start order by balance.event_at desc, balance.is_count
    ) as newest
  from {{ ref('int_stock_balanced') }} as balance
  inner join {{ ref('int_calendar_spined') }} as calendar on {{ local_day('balance.event_at') }} = calendar.day
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
  last_value(levels.on_hand ignore nulls) over (
    partition by spine.item_id, spine.location_id order by spine.period_start rows between unbounded preceding and current row
  ) as on_hand
from spine
left join levels
  on spine.item_id = levels.item_id and spine.location_id = levels.location_id and spine.period_start = levels.period_start
  and levels.newest = 1

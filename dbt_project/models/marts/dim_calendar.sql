-- every local business day and the planning period it belongs to
select
  day,
  period_start,
  cast(period_rank as bigint) as period_index,
  cast({{ day_of_week('day') }} as integer) as day_of_week,
  cast(weekofyear(day) as integer) as week_of_year,
  cast(month(day) as integer) as month,
  {{ day_of_week('day') }} >= 6 as is_weekend
from {{ ref('int_calendar_spined') }}

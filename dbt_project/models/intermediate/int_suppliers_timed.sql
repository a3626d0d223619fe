-- how long a supplier took over the last year, told anew each day something changed; an open line counts as at least its age
-- (Kaplan-Meier: the chance of still waiting after d days is the product of 1 - arrivals / lines still waiting, day by day)
with lines as (
  select
    from_id as supplier_id, ordered_at, ordered_on, promised_at, promised_on, received_at, received_on, known_at as received_known_at
  from {{ ref('fct_lead_times') }}
  where kind = 'purchase' and from_id is not null
),

changes as (
  select supplier_id, told_on, {{ midnight_of('told_on') }} as told_at
  from (
    select distinct supplier_id, {{ local_day('changed_at') }} + 1 as told_on
    from (
      select supplier_id, ordered_at as changed_at from lines
      union all select supplier_id, promised_at from lines
      union all select supplier_id, greatest(received_at, received_known_at) from lines
    ) as changes
    where changed_at is not null
  ) as told
),

-- and at Now, by which open lines have grown older
told as (
  select supplier_id, told_on, told_at, max(is_change) as is_change
  from (
    select supplier_id, told_on, told_at, true as is_change from changes where told_at <= {{ now_at() }}
    union all select distinct supplier_id, {{ local_day(now_at()) }}, {{ now_at() }}, false from lines
  ) as moments
  group by supplier_id, told_on, told_at
),

waiting as (
  select
    told.supplier_id, told_at, told.is_change,
    coalesce(lines.received_at <= told_at and lines.received_known_at <= told_at, false) as is_received,
    -- on time is by the end of the promised local day, and not to the hour
    case when lines.promised_on < told.told_on then coalesce(is_received and lines.received_on <= lines.promised_on, false) end as is_on_time,
    {{ days_apart('lines.ordered_on', 'case when is_received then lines.received_on else told.told_on end') }} as days
  from told
  inner join lines
    on told.supplier_id = lines.supplier_id and lines.ordered_on < told.told_on and lines.ordered_on >= told.told_on - {{ days_of_52_weeks() }}
),

survival as (
  select
    supplier_id, told_at, days,
    exp(sum(case when arrivals < waiting then ln(1 - arrivals / waiting) else -1000 end) over by_days) as still_waiting,
    days - lag(days, 1, 0) over by_days as step
  from (
    select
      supplier_id, told_at, days,
      count(*) filter (where is_received) as arrivals,
      sum(count(*)) over (partition by supplier_id, told_at order by days desc) as waiting
    from waiting
    group by supplier_id, told_at, days
  )
  window by_days as (partition by supplier_id, told_at order by days)
),

spread as (
  select
    supplier_id, told_at,
    sum(step * waiting_before) as lead_time_mean_days,
    coalesce(min(days) filter (where still_waiting <= 0.1), max(days)) as lead_time_p90_days
  from (select *, lag(still_waiting, 1, 1) over (partition by supplier_id, told_at order by days) as waiting_before from survival)
  group by supplier_id, told_at
),

counted as (
  select
    supplier_id, told_at, max(is_change) as is_change,
    count(*) as order_lines,
    count(*) filter (where not is_received) as open_lines,
    count(is_on_time) as due_lines,
    count(*) filter (where is_on_time is not null and is_received) as in_full_lines,
    count(*) filter (where is_on_time) as otif_lines
  from waiting
  group by supplier_id, told_at
)

select
  supplier_id,
  told_at,
  is_change,
  lead_time_mean_days,
  lead_time_p90_days,
  order_lines,
  open_lines,
  due_lines,
  in_full_lines,
  otif_lines
from spread
inner join counted using (supplier_id, told_at)

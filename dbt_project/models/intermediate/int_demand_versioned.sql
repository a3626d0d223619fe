-- Every closed period of every series, and every version of it; only periods with news after the first reading are added up in order.
-- Those are few: the others are read once and pass through, since a copy of all of them would not fit into memory.
with spine as {{ inlined() }} (
  select series.series_id, period.period_rank, period.reported_at as known_at
  from {{ ref('int_series_started') }} as series
  inner join {{ ref('int_calendar_spined') }} as first_day on first_day.day = series.first_day
  left join {{ ref('int_calendar_spined') }} as last_day on last_day.day = series.last_day
  inner join {{ ref('int_periods_closed') }} as period
    on period.period_rank >= first_day.period_rank
    and period.period_rank <= coalesce(last_day.period_rank, 1000000)
),

later_news as (
  select changes.series_id, changes.period_rank, changes.known_at, changes.sold, changes.returned, changes.revenue, changes.lines,
    changes.stock_outs
  from {{ ref('int_demand_changed') }} as changes
  inner join {{ ref('int_periods_closed') }} as period on changes.period_rank = period.period_rank
  where changes.known_at > period.reported_at
),

{% for part, has_news in [('final', 'not exists'), ('corrected', 'exists')] %}
{{ part }}_readings as (
  select
    period.series_id,
    period.period_rank,
    period.known_at,
    coalesce(changes.sold, 0) as sold,
    coalesce(changes.returned, 0) as returned,
    coalesce(changes.revenue, 0) as revenue,
    coalesce(changes.lines, 0) as lines,
    coalesce(changes.stock_outs, 0) as stock_outs
  from (
    select * from spine
    where {{ has_news }} (
      select 1 from later_news where later_news.series_id = spine.series_id and later_news.period_rank = spine.period_rank
    )
  ) as period
  left join {{ ref('int_demand_changed') }} as changes
    on period.series_id = changes.series_id and period.period_rank = changes.period_rank and period.known_at = changes.known_at
),
{% endfor %}
corrected as (
  select * from corrected_readings
  union all
  select later_news.*
  from later_news
  where exists (
    select 1 from corrected_readings as first
    where later_news.series_id = first.series_id and later_news.period_rank = first.period_rank
  )
),

added_up as (
  select
    series_id,
    period_rank,
    known_at,
    sum(sold) over so_far as sold,
    sum(returned) over so_far as returned,
    sum(revenue) over so_far as revenue,
    sum(lines) over so_far as lines,
    sum(stock_outs) over so_far as stock_outs,
    row_number() over so_far as version,
    lead(true) over (partition by series_id, period_rank order by known_at) is null as is_current
  from corrected
  window so_far as (
    partition by series_id, period_rank order by known_at rows between unbounded preceding and current row
  )
)

select
  series_id, period_rank, known_at, sold, returned, revenue, lines, stock_outs, 1 as version, true as is_current
from final_readings

union all

select series_id, period_rank, known_at, sold, returned, revenue, lines, stock_outs, version, is_current from added_up

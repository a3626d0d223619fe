-- level, dispersion, rhythm and intermittency of each series at the end of each closed period, as first known and again after each
-- correction. Between two corrections a series only grows, so one pass of windows over each such epoch computes every version.
{%- set so_far = 'partition by item_id, location_id, epoch order by period_start' %}
{%- set lags = range(1, 9) | list + [14, 21, 28, 52, 364] %}
{#- how many periods from this time of last year on are told, where a year is of weeks or of months #}
{%- set year_ago = 13 %}
with readings as (
  select item_id, location_id, period_start, quantity, event_at, known_at, version from {{ ref('fct_demand') }}
),

-- series whose past ever changed: a second version, or a period that became known after a later one
changing as (
  select item_id, location_id
  from readings
  group by item_id, location_id
  having max(version) > 1 or min(known_at - event_at) <> max(known_at - event_at)
),

changes as (
  select
    *,
    version > 1 or known_at > min(known_at) filter (where version = 1) over (
      partition by item_id, location_id order by period_start desc range between unbounded preceding and interval 1 day preceding
    ) as is_correction
  from readings
  semi join changing using (item_id, location_id)
  qualify version = 1 or quantity is distinct from lag(quantity) over (
    partition by item_id, location_id, period_start order by version
  )
),

epochs as (
  select item_id, location_id, known_at as starts_at, min(period_start) as first_period
  from changes
  where is_correction
  group by item_id, location_id, known_at
  union all
  select item_id, location_id, timestamp '0001-01-01', null from changing
),

bounded as (
  select *, lead(starts_at, 1, timestamp '9999-12-31') over (partition by item_id, location_id order by starts_at) as ends_at from epochs
),

-- each epoch's whole past, a period that is not known yet as unknown; told are the periods new in the epoch or touched by its correction
snapshots as (
  select
    item_id, location_id, period_start, event_at, starts_at as epoch,
    {{ newest_of('changes.quantity', 'changes.version') }} filter (where changes.known_at < bounded.ends_at) as quantity,
    greatest(min(changes.known_at), bounded.starts_at) as known_at,
    min(changes.known_at) < bounded.ends_at
    and (min(changes.known_at) >= bounded.starts_at or period_start >= any_value(bounded.first_period)) as is_told
  from bounded
  inner join changes using (item_id, location_id)
  where changes.known_at < bounded.ends_at or (changes.version = 1 and changes.is_correction)
  group by item_id, location_id, period_start, event_at, starts_at, ends_at
),

series as (
  select item_id, location_id, period_start, event_at, cast(quantity as float) as quantity, known_at, cast(null as timestamp) as epoch, true as is_told
  from readings
  anti join changing using (item_id, location_id)
  union all
  select item_id, location_id, period_start, event_at, cast(quantity as float), known_at, epoch, is_told from snapshots
),

rhythm as (
  select
    *,
    row_number() over so_far as age,
    avg(quantity) over (
      partition by item_id, location_id, epoch, period_number % 7 order by period_number rows 7 preceding
    ) as same_day_mean,
    case {{ world('grain') }} when 'week' then 52 when 'month' then 12 end as periods_a_year,
    avg(quantity) over ({{ so_far }} rows 3 preceding) as mean_of_four
  from (select *, row_number() over (partition by item_id, location_id, epoch order by period_start) as period_number from series)
  window so_far as (partition by item_id, location_id, epoch order by period_start)
),

told as (
  select
    item_id, location_id, event_at, known_at, is_told,
    {%- for k in lags %}
    lag(quantity, {{ k - 1 }}) over so_far as demand_lag_{{ k }},
    {%- endfor %}
    {%- for n in [3, 7, 13, 28, 52, 91, 364] %}
    cast(avg(quantity) over ({{ so_far }} rows {{ n - 1 }} preceding) as float) as demand_mean_{{ n }},
    {%- endfor %}
    {%- for n in [13, 28, 91] %}
    cast(stddev_samp(quantity) over ({{ so_far }} rows {{ n - 1 }} preceding) as float) as demand_std_{{ n }},
    {%- endfor %}
    {%- for n in [28, 91] %}
    cast(avg(cast(quantity = 0 as integer)) over ({{ so_far }} rows {{ n - 1 }} preceding) as float) as demand_zero_share_{{ n }},
    {%- endfor %}
    max(quantity) over ({{ so_far }} rows 27 preceding) as demand_max_28,
    {%- for k in range(7) %}
    cast(lag(same_day_mean, {{ 6 - k }}) over so_far as float) as demand_phase_mean_{{ k }},
    {%- endfor %}
    {%- for k in range(year_ago) %}
    cast(case periods_a_year
      when 52 then lag(quantity, {{ 51 - k }}) over so_far
      {%- if k < 12 %}
      when 12 then lag(quantity, {{ 11 - k }}) over so_far
      {%- endif %}
    end as float) as demand_year_ago_{{ k }},
    {%- endfor %}
    cast(case periods_a_year
      when 52 then lag(mean_of_four, 52) over so_far when 12 then lag(mean_of_four, 12) over so_far
    end as float) as demand_year_ago_mean_4,
    cast(count(quantity) over ({{ so_far }} rows 27 preceding) / least(age, 28) as float) as known_share_28,
    cast(age + 1 - max(case when quantity > 0 then age end) over ({{ so_far }} rows unbounded preceding) as float) as periods_since_sale,
    cast(age + 1 - min(case when quantity > 0 then age end) over ({{ so_far }} rows unbounded preceding) as float) as periods_since_first_sale
  from rhythm
  window so_far as (partition by item_id, location_id, epoch order by period_start)
)

select {{ all_but(['is_told']) }}, cast(demand_mean_28 / nullif(demand_mean_91, 0) as float) - cast(1 as float) as demand_trend
from told
where is_told

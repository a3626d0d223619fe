{{ config(
    materialized='incremental' if target.type == 'duckdb' else 'table',
    incremental_strategy='append',
    on_schema_change='fail',
    pre_hook="{{ forget_all_but_grown_series(this) if is_incremental() }}"
) }}
-- depends_on: {{ ref('int_periods_closed') }}
-- level, dispersion, rhythm and intermittency of each series at the end of each closed period, as first known and again after each
-- correction. Between two corrections a series only grows, so one pass of windows over each such epoch computes every version. Of a
-- series that only grew since the table was made, the new periods alone are computed.
with
{%- if is_incremental() %}
-- all others have been forgotten
grown as (select item_id, location_id, max(event_at) as told_until from {{ this }} group by item_id, location_id),
{% endif %}
readings as (
  select item_id, location_id, period_start, quantity, event_at, known_at, version
  from {{ ref('fct_demand') }}
  {%- if is_incremental() %}
  anti join grown using (item_id, location_id)
  {%- endif %}
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
    row_number() over ({{ so_far() }}) as age,
    avg(quantity) over (
      partition by item_id, location_id, epoch, period_number % 7 order by period_number rows 7 preceding
    ) as same_day_mean,
    {{ periods_a_year() }} as periods_a_year
  from (select *, row_number() over ({{ so_far() }}) as period_number from series)
),

whole as (
  select item_id, location_id, event_at, known_at, is_told, {{ demand_features('windows') }}
  from rhythm
),
{% if is_incremental() %}
ranked as (
  select
    item_id, location_id, period.period_rank, event_at, known_at, cast(quantity as float) as quantity,
    {{ periods_a_year() }} as periods_a_year, event_at > told_until as is_new
  from {{ ref('fct_demand') }}
  inner join grown using (item_id, location_id)
  inner join {{ ref('int_periods_closed') }} as period using (period_start)
),

stepped as (
  select
    item_id, location_id, asked.event_at, asked.known_at, past.quantity, past.periods_a_year,
    asked.period_rank - past.period_rank as steps
  from (select * from ranked where is_new) as asked
  inner join ranked as past using (item_id, location_id)
  where past.period_rank <= asked.period_rank
),

added as (
  select item_id, location_id, event_at, known_at, {{ demand_features('steps') }}
  from stepped
  group by item_id, location_id, event_at, known_at, periods_a_year
),
{% endif %}
told as (
  select {{ all_but(['is_told']) }} from whole where is_told
  {%- if is_incremental() %}
  union all
  select * from added
  {%- endif %}
)

select *, cast(demand_mean_28 / nullif(demand_mean_91, 0) as float) - cast(1 as float) as demand_trend
from told

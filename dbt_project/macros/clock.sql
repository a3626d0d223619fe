{# One setting of the world. #}
{% macro world(setting) -%} (select {{ setting }} from {{ ref('stg_world') }}) {%- endmacro %}

{# Now: nothing known later passes staging. #}
{% macro now_at() -%} {{ world('now_at') }} {%- endmacro %}

{# Facts from before the books began are a wrong year: landing says when, where any are. #}
{% macro is_believed() -%} coalesce(event_at >= {{ world('begins_at') }}, true) {%- endmacro %}

{# The local business day of a UTC time. The only place where UTC becomes local. #}
{% macro local_day(column) -%} {{ adapter.dispatch('local_day')(column) }} {%- endmacro %}

{% macro default__local_day(column) -%}
  cast(from_utc_timestamp({{ column }}, {{ world('timezone') }}) as date)
{%- endmacro %}

{% macro duckdb__local_day(column) -%}
  case
    when {{ world('timezone') }} = 'UTC' then cast({{ column }} as date)
    else cast(timezone({{ world('timezone') }}, timezone('UTC', {{ column }})) as date)
  end
{%- endmacro %}

{# The UTC time of a local midnight. The only place where local becomes UTC. #}
{% macro midnight_of(day) -%} {{ adapter.dispatch('midnight_of')(day) }} {%- endmacro %}

{% macro default__midnight_of(day) -%}
  cast(to_utc_timestamp(cast({{ day }} as timestamp), {{ world('timezone') }}) as timestamp)
{%- endmacro %}

{% macro duckdb__midnight_of(day) -%}
  timezone('UTC', timezone({{ world('timezone') }}, cast({{ day }} as timestamp)))
{%- endmacro %}

{# Every day from first to last, one row each, column `day`. #}
{% macro days_between(first, last) -%} {{ adapter.dispatch('days_between')(first, last) }} {%- endmacro %}

{% macro default__days_between(first, last) -%}
  select explode(sequence({{ first }}, {{ last }}, interval 1 day)) as day
{%- endmacro %}

{% macro duckdb__days_between(first, last) -%}
  select cast(unnest(generate_series(cast({{ first }} as date), cast({{ last }} as date), interval 1 day)) as date) as day
{%- endmacro %}

{# The first day of the period a day belongs to, by the world's grain. #}
{% macro period_start(day) -%} {{ adapter.dispatch('period_start')(day) }} {%- endmacro %}

{% macro default__period_start(day) -%}
  case {{ world('grain') }}
    when 'day' then {{ day }}
    when 'week' then date_sub({{ day }}, cast(pmod(weekday({{ day }}) + 1 - coalesce({{ world('week_starts_on') }}, 1), 7) as int))
    when 'month' then trunc({{ day }}, 'MM')
  end
{%- endmacro %}

{% macro duckdb__period_start(day) -%}
  case {{ world('grain') }}
    when 'day' then {{ day }}
    when 'week' then {{ day }} - cast((isodow({{ day }}) + 7 - coalesce({{ world('week_starts_on') }}, 1)) % 7 as integer)
    when 'month' then cast(date_trunc('month', {{ day }}) as date)
  end
{%- endmacro %}

{# The first day of the period after the one that starts on `start`. #}
{% macro next_period(start) -%} {{ adapter.dispatch('next_period')(start) }} {%- endmacro %}

{% macro default__next_period(start) -%}
  case {{ world('grain') }}
    when 'day' then date_add({{ start }}, 1)
    when 'week' then date_add({{ start }}, 7)
    when 'month' then add_months({{ start }}, 1)
  end
{%- endmacro %}

{% macro duckdb__next_period(start) -%}
  case {{ world('grain') }}
    when 'day' then {{ start }} + 1
    when 'week' then {{ start }} + 7
    when 'month' then cast({{ start }} + interval 1 month as date)
  end
{%- endmacro %}

{# How many days one period has on average. #}
{% macro days_a_period() -%}
  (case {{ world('grain') }} when 'day' then 1.0 when 'week' then 7.0 when 'month' then {{ days_a_year() }} / 12 end)
{%- endmacro %}

{# How many periods a year has, where it is of weeks or of months. #}
{% macro periods_a_year() -%} case {{ world('grain') }} when 'week' then 52 when 'month' then 12 end {%- endmacro %}

{# Whole days from one local day to a later one. #}
{% macro days_apart(earlier, later) -%} {{ adapter.dispatch('days_apart')(earlier, later) }} {%- endmacro %}

{% macro default__days_apart(earlier, later) -%} datediff({{ later }}, {{ earlier }}) {%- endmacro %}

{% macro duckdb__days_apart(earlier, later) -%} date_diff('day', {{ earlier }}, {{ later }}) {%- endmacro %}

{#
  Whether something happened within so many whole local days before the day of Now. Counted in days and not in hours: a row dated
  to its day stands at a local midnight, and summer time moves midnights.
#}
{% macro in_last_days(column, days) -%}
  {{ column }} >= {{ midnight_of(local_day(now_at()) ~ ' - ' ~ days) }} and {{ column }} < {{ midnight_of(local_day(now_at())) }}
{%- endmacro %}

{# Days from one time to another, with their fraction. #}
{% macro days_from(earlier, later) -%} {{ adapter.dispatch('days_from')(earlier, later) }} {%- endmacro %}

{% macro default__days_from(earlier, later) -%}
  (unix_micros(cast({{ later }} as timestamp_ltz)) - unix_micros(cast({{ earlier }} as timestamp_ltz))) / 86400e6
{%- endmacro %}

{% macro duckdb__days_from(earlier, later) -%}
  (epoch({{ later }}) - epoch({{ earlier }})) / 86400.0
{%- endmacro %}

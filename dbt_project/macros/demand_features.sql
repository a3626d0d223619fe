{#
  What a series' past says of it at the end of a period, each feature written once and asked in two ways. By `windows`: every period
  of whole series, which stand in order of their periods. By `steps`: one period of each series, whose past stands beside it with the
  number of steps back to each of its periods (0 is the asked one). Both read quantity, periods_a_year and, by windows, age (how many
  periods a series has) and same_day_mean (the mean of the eight periods seven apart up to this one).
#}
{% macro demand_features(by) %}
  {%- for k in range(1, 9) | list + [14, 21, 28, 52, 364] %}
    {{ steps_back('quantity', k - 1, by) }} as demand_lag_{{ k }},
  {%- endfor %}
  {%- for n in [3, 7, 13, 28, 52, 91, 364] %}
    cast({{ over_steps('avg(quantity)', 0, n - 1, by) }} as float) as demand_mean_{{ n }},
  {%- endfor %}
  {%- for n in [13, 28, 91] %}
    cast({{ over_steps('stddev_samp(quantity)', 0, n - 1, by) }} as float) as demand_std_{{ n }},
  {%- endfor %}
  {%- for n in [28, 91] %}
    cast({{ over_steps('avg(cast(quantity = 0 as integer))', 0, n - 1, by) }} as float) as demand_zero_share_{{ n }},
  {%- endfor %}
    {{ over_steps('max(quantity)', 0, 27, by) }} as demand_max_28,
  {%- for k in range(7) %}
    cast({{ same_day_mean(6 - k, by) }} as float) as demand_phase_mean_{{ k }},
  {%- endfor %}
  {#- how many periods from this time of last year on are told, where a year is of weeks or of months #}
  {%- for k in range(13) %}
    cast(case periods_a_year
      when 52 then {{ steps_back('quantity', 51 - k, by) }}
      {%- if k < 12 %}
      when 12 then {{ steps_back('quantity', 11 - k, by) }}
      {%- endif %}
    end as float) as demand_year_ago_{{ k }},
  {%- endfor %}
    cast(case periods_a_year
      when 52 then {{ over_steps('avg(quantity)', 52, 55, by) }} when 12 then {{ over_steps('avg(quantity)', 12, 15, by) }}
    end as float) as demand_year_ago_mean_4,
    cast({{ over_steps('count(quantity)', 0, 27, by) }} / least({{ 'age' if by == 'windows' else 'count(*)' }}, 28) as float)
      as known_share_28,
    cast({{ periods_since('last', by) }} as float) as periods_since_sale,
    cast({{ periods_since('first', by) }} as float) as periods_since_first_sale
{%- endmacro %}

{% macro so_far() -%} partition by item_id, location_id, epoch order by period_start {%- endmacro %}

{% macro steps_back(value, steps, by) -%}
  {%- if by == 'windows' -%} lag({{ value }}, {{ steps }}) over ({{ so_far() }})
  {%- else -%} max({{ value }}) filter (where steps = {{ steps }})
  {%- endif -%}
{%- endmacro %}

{% macro over_steps(aggregate, nearest, farthest, by) -%}
  {%- if by == 'windows' -%}
  {{ aggregate }} over (
      {{- so_far() }} rows between {{ farthest }} preceding and {{ nearest ~ ' preceding' if nearest else 'current row' }})
  {%- else -%} {{ aggregate }} filter (where steps between {{ nearest }} and {{ farthest }})
  {%- endif -%}
{%- endmacro %}

{% macro same_day_mean(steps, by) -%}
  {%- if by == 'windows' -%} {{ steps_back('same_day_mean', steps, by) }}
  {%- else -%} avg(quantity) filter (where steps % 7 = {{ steps }} and steps <= {{ steps + 49 }})
  {%- endif -%}
{%- endmacro %}

{% macro periods_since(which, by) -%}
  {%- if by == 'windows' -%}
  age + 1 - {{ 'max' if which == 'last' else 'min' }}(case when quantity > 0 then age end) over (
      {{- so_far() }} rows unbounded preceding)
  {%- else -%} {{ 'min' if which == 'last' else 'max' }}(steps) filter (where quantity > 0) + 1
  {%- endif -%}
{%- endmacro %}

{#
  What a feature table says of a series goes, unless the series only grew since: what is told of it is what `fct_demand` says today of
  these periods, once each, the new ones follow and became known one after the other, and no more are new than are asked step by step
  at less cost.
#}
{% macro forget_all_but_grown_series(table, new_periods=4) %}
  {%- set told = ['event_at', 'known_at', 'demand_lag_1'] %}
  {%- set said = ['event_at', 'known_at', 'cast(quantity as float)'] %}
  {%- set new, old = 'filter (where event_at > told_until)', 'filter (where event_at <= told_until)' %}
  delete from {{ table }} as told
  where not exists (
    select 1
    from {{ ref('fct_demand') }} as readings
    inner join (
      select item_id, location_id, max(event_at) as told_until, {{ content_of(told) }} as content
      from {{ table }}
      group by item_id, location_id
    ) as before using (item_id, location_id)
    inner join {{ ref('int_periods_closed') }} as period using (period_start)
    where readings.item_id = told.item_id and readings.location_id = told.location_id
    group by readings.item_id, readings.location_id
    having {{ content_of(said) }} {{ old }} = any_value(content)
      and count(*) = max(period_rank) - min(period_rank) + 1
      and count(*) {{ new }} <= {{ new_periods }}
      and coalesce(min(known_at) {{ new }} >= max(known_at) {{ old }}, true)
      and (
        count(*) {{ new }} <= 1
        or min(known_at) {{ new }} = max(known_at) {{ new }}
        or min(known_at - event_at) {{ new }} = max(known_at - event_at) {{ new }}
      )
  )
{% endmacro %}

{# What rows say, whatever their order. #}
{% macro content_of(columns) -%} sum(cast({{ key_of(columns) }} as decimal(38, 0))) {%- endmacro %}

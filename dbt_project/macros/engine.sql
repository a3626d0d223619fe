{# What two engines spell differently. `default__` is Spark's way, see `make scale-up`. #}

{# Every column but these. #}
{% macro all_but(columns, relation='') -%} {{ adapter.dispatch('all_but')(columns, relation) }} {%- endmacro %}

{% macro default__all_but(columns, relation) -%} {{ relation ~ '.' if relation }}* except ({{ columns | join(', ') }}) {%- endmacro %}

{% macro duckdb__all_but(columns, relation) -%} {{ relation ~ '.' if relation }}* exclude ({{ columns | join(', ') }}) {%- endmacro %}

{#
  Every column of a relation, some of them as the expressions say ({column: expression}). Their order is the engine's: a union names
  its columns.
#}
{% macro all_with(relation, expressions) -%} {{ adapter.dispatch('all_with')(relation, expressions) }} {%- endmacro %}

{% macro default__all_with(relation, expressions) -%}
  {{ all_but(expressions | list, relation) }}
  {%- for column, expression in expressions.items() %},
    {{ expression }} as {{ column }}
  {%- endfor %}
{%- endmacro %}

{% macro duckdb__all_with(relation, expressions) -%}
  {{ relation }}.* replace (
    {%- for column, expression in expressions.items() %}
      {{ expression }} as {{ column }}{{ ',' if not loop.last }}
    {%- endfor %}
    )
{%- endmacro %}

{# One key of several values; no engine's equals another's, and none is published. #}
{% macro key_of(columns) -%} {{ adapter.dispatch('key_of')(columns) }} {%- endmacro %}

{% macro default__key_of(columns) -%} xxhash64({{ columns | join(', ') }}) {%- endmacro %}

{% macro duckdb__key_of(columns) -%} hash({{ columns | join(', ') }}) {%- endmacro %}

{# The last value of a window that is not null; `over` follows. #}
{% macro last_known(column) -%} {{ adapter.dispatch('last_known')(column) }} {%- endmacro %}

{% macro default__last_known(column) -%} last_value({{ column }}) ignore nulls {%- endmacro %}

{% macro duckdb__last_known(column) -%} last_value({{ column }} ignore nulls) {%- endmacro %}

{# The value that is not null of the row whose order is the highest. #}
{% macro newest_value(value, order) -%} {{ adapter.dispatch('newest_value')(value, order) }} {%- endmacro %}

{% macro default__newest_value(value, order) -%}
  max_by({{ value }}, case when {{ value }} is not null then {{ order }} end)
{%- endmacro %}

{% macro duckdb__newest_value(value, order) -%} arg_max({{ value }}, {{ order }}) {%- endmacro %}

{# The value, null or not, of the row whose order is the highest. #}
{% macro newest_of(value, order) -%} {{ adapter.dispatch('newest_of')(value, order) }} {%- endmacro %}

{% macro default__newest_of(value, order) -%} max_by({{ value }}, {{ order }}) {%- endmacro %}

{% macro duckdb__newest_of(value, order) -%} arg_max_null({{ value }}, {{ order }}) {%- endmacro %}

{# Several values as one, compared from the left. #}
{% macro together(columns) -%} {{ adapter.dispatch('together')(columns) }} {%- endmacro %}

{% macro default__together(columns) -%} struct({{ columns | join(', ') }}) {%- endmacro %}

{% macro duckdb__together(columns) -%} struct_pack({{ columns | join(', ') }}) {%- endmacro %}

{# Whether a regular expression is found in a text. #}
{% macro matches(text, pattern) -%} {{ adapter.dispatch('matches')(text, pattern) }} {%- endmacro %}

{% macro default__matches(text, pattern) -%} regexp_like({{ text }}, r'{{ pattern }}') {%- endmacro %}

{% macro duckdb__matches(text, pattern) -%} regexp_matches({{ text }}, '{{ pattern }}') {%- endmacro %}

{# Monday is 1, Sunday 7. #}
{% macro day_of_week(day) -%} {{ adapter.dispatch('day_of_week')(day) }} {%- endmacro %}

{% macro default__day_of_week(day) -%} (weekday({{ day }}) + 1) {%- endmacro %}

{% macro duckdb__day_of_week(day) -%} isodow({{ day }}) {%- endmacro %}

{# One element of a list, the first is 1; null beyond its end. #}
{% macro element(list, number) -%} {{ adapter.dispatch('element')(list, number) }} {%- endmacro %}

{% macro default__element(list, number) -%} get({{ list }}, {{ number - 1 }}) {%- endmacro %}

{% macro duckdb__element(list, number) -%} {{ list }}[{{ number }}] {%- endmacro %}

{# The length of time that landing wrote as a lag: an interval, or in the files of `stockhouse export-raw` its microseconds. #}
{% macro lag_of(column) -%} {{ adapter.dispatch('lag_of')(column) }} {%- endmacro %}

{% macro default__lag_of(column) -%}
  coalesce(make_dt_interval(0, 0, 0, cast({{ column }} / 1000000 as decimal(18, 6))), interval 0 day)
{%- endmacro %}

{% macro duckdb__lag_of(column) -%} coalesce({{ column }}, interval 0 day) {%- endmacro %}

{# A time so many days later, to the microsecond. #}
{% macro days_after(time, days) -%} {{ adapter.dispatch('days_after')(time, days) }} {%- endmacro %}

{% macro default__days_after(time, days) -%}
  timestampadd(microsecond, cast(round({{ days }} * 86400e6) as bigint), {{ time }})
{%- endmacro %}

{% macro duckdb__days_after(time, days) -%}
  {{ time }} + to_microseconds(cast(round({{ days }} * 86400e6) as bigint))
{%- endmacro %}

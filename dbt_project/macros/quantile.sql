{# The interpolated quantile of a column. #}
{% macro quantile(column, level) -%} {{ adapter.dispatch('quantile')(column, level) }} {%- endmacro %}

{% macro default__quantile(column, level) -%} percentile({{ column }}, {{ level }}) {%- endmacro %}

{% macro duckdb__quantile(column, level) -%} quantile_cont({{ column }}, {{ level }}) {%- endmacro %}

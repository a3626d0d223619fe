{# One row for each combination of the columns; an empty value counts as a value. #}
{% test unique_grain(model, columns) %}{{ adapter.dispatch('repeated_grain')(model, columns) }}{% endtest %}

{% macro default__repeated_grain(model, columns) %}
  select {{ columns | join(', ') }}, count(*) as rows_found
  from {{ model }}
  group by {{ columns | join(', ') }}
  having count(*) > 1
{% endmacro %}

{# A 64-bit hash of the grain takes a fifth of the memory of the grain itself. #}
{% macro duckdb__repeated_grain(model, columns) %}
  select {% for column in columns %}any_value({{ column }}) as {{ column }}, {% endfor %}count(*) as rows_found
  from {{ model }}
  group by hash({{ columns | join(', ') }})
  having count(*) > 1
{% endmacro %}

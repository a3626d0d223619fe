{# One row for each combination of the columns; an empty value counts as a value. #}
{% test unique_grain(model, columns) %}
  select {{ columns | join(', ') }}, count(*) as rows_found
  from {{ model }}
  group by {{ columns | join(', ') }}
  having count(*) > 1
{% endtest %}

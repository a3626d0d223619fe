{# The newest current row of a staging table for each key. #}
{% macro newest(model, key, columns) %}
  select {{ (key + columns) | join(', ') }}
  from (
    select
      *,
      row_number() over (
        partition by {{ key | join(', ') }}
        order by known_at desc nulls last, handed_over_at desc nulls last, row_hash desc nulls last
      ) as newest
    from {{ ref(model) }}
    where is_current
  ) as ranked
  where newest = 1
{% endmacro %}

{# Data tests of our own; a hub of packages is not needed for these. #}

{# Every row has all of these values: one question for all columns of a view, which is read anew each time it is asked. #}
{% test complete(model, columns) %}
  select {{ columns | join(', ') }} from {{ model }}
  where {% for column in columns %}{{ column }} is null{{ ' or ' if not loop.last }}{% endfor %}
{% endtest %}

{% test accepted_range(model, column_name, at_least=none, at_most=none) %}
  select {{ column_name }} from {{ model }}
  where false
    {% if at_least is not none %}or {{ column_name }} < {{ at_least }}{% endif %}
    {% if at_most is not none %}or {{ column_name }} > {{ at_most }}{% endif %}
{% endtest %}

{% test is_true(model, column_name) %}
  select * from {{ model }} where is_current and {{ column_name }} is not true
{% endtest %}

{#
  A row that leans on another one for its date must find it: an orphan vanishes from demand. `above`: the share of such rows that may be
  orphans; above it a whole delivery of what they lean on is missing.
#}
{% test found_in(model, column, to, field, unless, is_document=false, above=0) %}
  with leaning as (
    select
      {{ column }},
      not exists (
        select 1 from {{ to }} as found where found.{{ field }} = {{ document_key('fact.' ~ column) if is_document else 'fact.' ~ column }}
      ) as is_orphan
    from {{ model }} as fact
    where not ({{ unless }}) and {{ column }} is not null
  )

  select {{ column }} from leaning
  where is_orphan and (select avg(case when is_orphan then 1.0 else 0.0 end) from leaning) > {{ above }}
{% endtest %}

{# opening + receipts - issues ± adjustments = closing, between any two counts #}
{% test books_balance(model) %}
  select * from {{ model }} where is_count and abs(difference) > 0.000001
{% endtest %}

{#
  A staging table with every id replaced by the one the aliases bridge says it stands for. `columns` maps a column to the kind of
  thing it names: {'item_id': 'item', 'location_id': 'location'}, or to several of which the first that knows it counts:
  {'from_id': ['location', 'supplier']}. A row is known no earlier than the aliases it was read with.
#}
{% macro identified(model, columns) -%} {{ adapter.dispatch('identified')(model, columns) }} {%- endmacro %}

{% macro default__identified(model, columns) %}
  select
    {%- for column in adapter.get_columns_in_relation(model) if column.name not in columns and column.name != 'known_at' %}
    fact.{{ column.name }},
    {%- endfor %}
    {{ _identified_columns(columns) }}
  {{ _identified_joins(model, columns) }}
{% endmacro %}

{% macro duckdb__identified(model, columns) %}
  select
    fact.* exclude (known_at, {{ columns | list | join(', ') }}),
    {{ _identified_columns(columns) }}
  {{ _identified_joins(model, columns) }}
{% endmacro %}

{% macro _kinds(kinds) %}{{ return([kinds] if kinds is string else kinds) }}{% endmacro %}

{% macro _identified_columns(columns) %}
    {%- for column, kinds in columns.items() %}
    coalesce({% for kind in _kinds(kinds) %}{{ column }}_{{ kind }}.id, {% endfor %}fact.{{ column }}) as {{ column }},
    {%- endfor %}
    case
      when fact.known_at is not null
        then greatest(fact.known_at {%- for column, kinds in columns.items() %}{% for kind in _kinds(kinds) %}, {{ column }}_{{ kind }}.known_at{% endfor %}{% endfor %})
    end as known_at
{% endmacro %}

{% macro _identified_joins(model, columns) %}
  from {{ model }} as fact
  {%- for column, kinds in columns.items() %}{% for kind in _kinds(kinds) %}
  left join {{ ref('int_aliases_current') }} as {{ column }}_{{ kind }}
    on {{ column }}_{{ kind }}.kind = '{{ kind }}' and {{ column }}_{{ kind }}.alias = fact.{{ column }}
  {%- endfor %}{% endfor %}
{% endmacro %}

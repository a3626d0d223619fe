{# Freshness is the age of the newest row at Now, never at the wall clock; a table that a world does not feed is not stale. #}
{% macro collect_freshness(source, loaded_at_field, filter) %}
  {% call statement('collect_freshness', fetch_result=True, auto_begin=False) -%}
    select
      coalesce(max({{ loaded_at_field }}), world.now_at) as max_loaded_at,
      world.now_at as snapshotted_at
    from {{ source.incorporate(path={'identifier': 'world'}) }} as world
    left join {{ source }} as fact on fact.{{ loaded_at_field }} <= world.now_at
    group by world.now_at
  {% endcall %}
  {{ return(load_result('collect_freshness')) }}
{% endmacro %}

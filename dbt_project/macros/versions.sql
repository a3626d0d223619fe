{# A CTE read more than once is spelled out each time: the engine would otherwise keep a copy of every row in memory. #}
{% macro inlined() -%} {{ adapter.dispatch('inlined')() }} {%- endmacro %}

{% macro default__inlined() %}{% endmacro %}

{% macro duckdb__inlined() -%} not materialized {%- endmacro %}

{#
  The versions of each fact: same row_key, other content, ordered by when it was known. Adds valid_until (when the next version
  became known) and is_current. Most keys have one version, so only corrected keys are sorted: those that stg_corrections has of a raw
  table, or else those that come more than once.
#}
{% macro versions(relation, table=none) -%} {{ adapter.dispatch('versions')(relation, table) }} {%- endmacro %}

{% macro default__versions(relation, table=none) %}
  select *, lead(known_at) over version as valid_until, lead(true) over version is null as is_current
  from {{ relation }}
  window version as (partition by row_key order by known_at, handed_over_at nulls first, row_hash)
{% endmacro %}

{% macro duckdb__versions(relation, table=none) %}
  with corrected as (
    {%- if table %}
    select row_key from {{ ref('stg_corrections') }} where table_name = '{{ table }}'
    {%- else %}
    select row_key from {{ relation }} group by row_key having count(*) > 1
    {%- endif %}
  )

  select *, cast(null as timestamp) as valid_until, true as is_current
  from {{ relation }} as fact
  anti join corrected on corrected.row_key = fact.row_key

  union all

  select *, lead(known_at) over version as valid_until, lead(true) over version is null as is_current
  from {{ relation }} as fact
  semi join corrected on corrected.row_key = fact.row_key
  window version as (partition by row_key order by known_at, handed_over_at nulls first, row_hash)
{% endmacro %}

{#
  The history of a thing (SCD2) by window over known_at: attributes may come from several sources, so each version carries the
  newest known value of every attribute; versions that change nothing are left out.
#}
{% macro history(relation, key, attributes) %}
  {%- set keys = key | join(', ') -%}
  filled as (
    select
      {{ keys }},
      {%- for attribute in attributes %}
      {{ last_known(attribute) }} over so_far as {{ attribute }},
      {%- endfor %}
      max(is_declared) over so_far as is_declared,
      known_at,
      row_number() over (partition by {{ keys }}, known_at order by handed_over_at desc nulls last, row_hash desc nulls last) as latest
    from {{ relation }}
    window so_far as (
      partition by {{ keys }} order by known_at, handed_over_at nulls first, row_hash nulls first
      rows between unbounded preceding and current row
    )
  ),

  compared as (
    select
      *,
      lag(true) over version is null
      {%- for attribute in attributes + ['is_declared'] %}
      or {{ attribute }} is distinct from lag({{ attribute }}) over version
      {%- endfor %} as is_changed
    from filled
    where latest = 1
    window version as (partition by {{ keys }} order by known_at)
  ),

  history as (
    select
      {{ keys }},
      {%- for attribute in attributes %}
      {{ attribute }},
      {%- endfor %}
      is_declared,
      known_at,
      known_at as valid_from,
      lead(known_at) over version as valid_to,
      lead(true) over version is null as is_current
    from compared
    where is_changed
    window version as (partition by {{ keys }} order by known_at)
  )
{% endmacro %}

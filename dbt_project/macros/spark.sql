{# What only Spark needs: what landing wrote is opened there, and a contract's types have other names. #}
{% macro open_raw() -%} {{ adapter.dispatch('open_raw')() }} {%- endmacro %}

{% macro duckdb__open_raw() %}{% endmacro %}

{# STOCKHOUSE_RAW: the folder that `stockhouse export-raw` wrote, as every worker sees it. #}
{% macro default__open_raw() %}
  {%- if execute -%}
    {%- do run_query('create schema if not exists raw') -%}
    {%- for table in graph.sources.values() if table.source_name == 'raw' -%}
      {%- do run_query('drop table if exists raw.' ~ table.name) -%}
      {%- do run_query('create table raw.' ~ table.name ~ " using parquet location '" ~ env_var('STOCKHOUSE_RAW') ~ '/' ~ table.name ~ "'") -%}
      {%- do _refuse_older(table) -%}
    {%- endfor -%}
  {%- endif -%}
{% endmacro %}

{# What staging reads of a raw table is there, or the files are another version's. #}
{% macro _refuse_older(table) %}
  {%- set columns = adapter.get_columns_in_relation(api.Relation.create(schema='raw', identifier=table.name)) | map(attribute='name') | list -%}
  {%- for model in graph.nodes.values() if model.name == 'stg_' ~ table.name -%}
    {%- set lacking = model.columns | reject('in', columns + ['valid_until', 'is_current']) | list -%}
    {%- if lacking -%}
      {%- do exceptions.raise_compiler_error(
        'raw.' ~ table.name ~ ' lacks ' ~ lacking | join(', ') ~ ': another version wrote these files, `stockhouse export-raw` writes them anew'
      ) -%}
    {%- endif -%}
  {%- endfor -%}
{% endmacro %}

{# Spark has no VARCHAR without a length, no unsigned numbers and keeps no intervals. #}
{% macro spark__get_empty_schema_sql(columns) %}
  {%- set kinds = {
    'VARCHAR': 'string', 'VARCHAR[]': 'array<string>', 'HUGEINT': 'decimal(38, 0)', 'UBIGINT': 'decimal(20, 0)', 'INTERVAL': 'bigint'
  } -%}
  select
    {%- for column in columns.values() %}
    cast(null as {{ kinds.get(column['data_type'] | upper, column['data_type']) }}) as {{ column['name'] }}{{ ',' if not loop.last }}
    {%- endfor %}
{% endmacro %}

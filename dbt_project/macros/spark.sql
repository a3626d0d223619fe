{# What only Spark needs: what landing wrote is opened there, and a contract's types have other names. #}
{% macro open_raw() -%} {{ adapter.dispatch('open_raw')() }} {%- endmacro %}

{% macro duckdb__open_raw() %}{% endmacro %}

{# STOCKHOUSE_RAW: the folder that `stockhouse export-raw` wrote, as every worker sees it. #}
{% macro default__open_raw() %}
  {%- if execute -%}
    {%- set read = [] -%}
    {%- for model in graph.nodes.values() if model.resource_type == 'model' -%} {%- do read.extend(model.depends_on.nodes) -%} {%- endfor -%}
    {%- do run_query('create schema if not exists raw') -%}
    {%- for table in graph.sources.values() if table.source_name == 'raw' and table.unique_id in read -%}
      {%- do run_query('drop table if exists raw.' ~ table.name) -%}
      {%- do run_query('create table raw.' ~ table.name ~ " using parquet location '" ~ env_var('STOCKHOUSE_RAW') ~ '/' ~ table.name ~ "'") -%}
    {%- endfor -%}
  {%- endif -%}
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

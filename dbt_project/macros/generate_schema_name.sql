{#
  Schemas are exactly the folder names: staging, intermediate, marts, features, metrics. Under any other target than the line's own
  (`dbt build --target dev`) each stands beside them under that target's name, such as dev_marts, so that a trial changes no truth.
#}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {%- set name = (custom_schema_name or target.schema) | trim -%}
  {{ name if target.name in ['warehouse', 'spark'] or not custom_schema_name else target.schema ~ '_' ~ name }}
{%- endmacro %}

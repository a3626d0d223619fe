{# Schemas are exactly the folder names: staging, intermediate, marts, features, metrics. #}
{% macro generate_schema_name(custom_schema_name, node) -%}
  {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}

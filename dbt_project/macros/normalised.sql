{# An id or a name without case, punctuation and leading zeros: what two systems that mean the same thing often agree on. #}
{% macro normalised(text) -%} {{ adapter.dispatch('normalised')(text) }} {%- endmacro %}

{% macro default__normalised(text) -%}
  regexp_replace(regexp_replace(lower({{ text }}), '[^a-z0-9]', ''), '^0+', '')
{%- endmacro %}

{% macro duckdb__normalised(text) -%}
  regexp_replace(regexp_replace(lower({{ text }}), '[^a-z0-9]', '', 'g'), '^0+', '')
{%- endmacro %}

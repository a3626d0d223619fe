{# The signals every world is asked for, and the names under which worlds deliver them. #}
{% macro signal_patterns() -%}
  {{ return({
    'signal_weather': '^(weather_)?(mean_)?temperature_?c?$',
    'signal_fuel_price': '^fuel_price',
    'signal_consumer_confidence': '^(consumer_confidence|cpi)$',
    'signal_unemployment': '^unemployment',
    'signal_search_interest': '^search_interest',
    'signal_competitor_price': '^competitor_price',
  }) }}
{%- endmacro %}

{% macro signal_features() -%} {{ return(signal_patterns() | list) }} {%- endmacro %}

{# The feature a signal's name feeds, or null for a signal no feature asks for. #}
{% macro signal_feature(name) -%}
  case
    {%- for feature, pattern in signal_patterns().items() %}
    when {{ matches(name, pattern) }} then '{{ feature }}'
    {%- endfor %}
  end
{%- endmacro %}

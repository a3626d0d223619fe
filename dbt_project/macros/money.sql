{#
  Money is kept in the world's currency, net of sales tax. A row in another currency is worth what the rate of its own time says; one
  whose rate nobody knows has no amount: never one to one.
#}
{% macro join_rates(fact, moment) %}
  left join {{ ref('int_rates_dated') }} as rates
    on {{ fact }}.currency = rates.currency and {{ moment }} >= rates.starts_at and {{ moment }} < rates.ends_at
{%- endmacro %}

{# What one unit of a row's currency is worth in the world's. #}
{% macro exchanged(fact) -%}
  case when {{ fact }}.currency is null then 1.0 else rates.rate end
{%- endmacro %}

{# An amount of a row in the world's currency, without the sales tax it may include. #}
{% macro net(fact, amount) -%} {{ fact }}.{{ amount }} * {{ exchanged(fact) }} / (1 + coalesce({{ fact }}.tax_share, 0)) {%- endmacro %}

{#
  Money is kept to the digit, so that its sum is the same whoever adds it up, in whatever order. An amount has four decimals: as many as
  any currency has minor units. What one unit costs or earns has twelve: a foreign price at its rate, a screw held for a day.
#}
{% macro amount(expression) -%} cast({{ expression }} as decimal(38, 4)) {%- endmacro %}

{# Money as a model is trained on it. A cast of a decimal straight to FLOAT divides in single precision, and one price would be two. #}
{% macro trained_on(expression) -%} cast({{ expression }} as double) {%- endmacro %}

{% macro unit_money(expression) -%} cast({{ expression }} as decimal(38, 12)) {%- endmacro %}

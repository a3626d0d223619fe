{#
  What of a count can be sold or shipped: nothing of what is blocked or past its date, and not what is promised to somebody. Stock on
  consignment can be sold.
#}
{% macro available(fact) -%}
  case
    when {{ is_unavailable(fact ~ '.status') }} or coalesce({{ fact }}.expires_at <= {{ fact }}.event_at, false)
      then least({{ fact }}.on_hand, 0)
    when {{ fact }}.reserved > 0 then greatest({{ fact }}.on_hand - {{ fact }}.reserved, least({{ fact }}.on_hand, 0))
    else {{ fact }}.on_hand
  end
{%- endmacro %}

{# What a stock status says, in the words systems use (orchestration/expectations/words.py refuses others): not to be sold. #}
{% macro is_unavailable(status) -%}
  coalesce(regexp_matches({{ status }}, '^({{ var("unavailable_stock") | join("|") }})'), false)
{%- endmacro %}

{#
  The number of a document or of its line as two systems agree on it: without blanks, case, leading zeros, and the fraction of nothing
  that a table of numbers makes of it (10.0).
#}
{% macro document_key(number) -%} {{ adapter.dispatch('document_key')(number) }} {%- endmacro %}

{% macro default__document_key(number) -%} regexp_replace(regexp_replace(upper(replace({{ number }}, ' ', '')), '[.]0+$', ''), '^0+(.)', '$1') {%- endmacro %}

{# The same in a third of the time; sales have millions of them. #}
{% macro duckdb__document_key(number) -%}
  {%- set bare = "upper(replace(" ~ number ~ ", ' ', ''))" -%}
  {%- set whole = "case when contains(" ~ number ~ ", '.') then regexp_replace(" ~ bare ~ ", '[.]0+$', '') else " ~ bare ~ " end" -%}
  coalesce(nullif(ltrim({{ whole }}, '0'), ''), right({{ whole }}, 1))
{%- endmacro %}

{# What a status says, in the words systems use: this line is called off. #}
{% macro is_cancelled(status) -%}
  coalesce({{ matches('lower(trim(' ~ status ~ '))', '^(cancel|void|annul|anul|storn|reject|declin|refus|delet|withdrawn)') }}, false)
{%- endmacro %}

{# What a status says: nothing more will come of this line, whatever came. #}
{% macro is_over(status) -%}
  ({{ is_cancelled(status) }} or coalesce({{ matches(
    'lower(trim(' ~ status ~ '))', '^(short|closed|complete|done|finish|fully|final|received|delivered|geschlossen|erledigt)'
  ) }}, false))
{%- endmacro %}

{# What a status says: this line has not come yet, whatever day it was due. #}
{% macro is_awaited(status) -%}
  coalesce({{ matches(
    'lower(trim(' ~ status ~ '))', '^(open|offen|back ?order|outstanding|overdue|late|in transit|on the way|not received|unterwegs)'
  ) }}, false)
{%- endmacro %}

{# When a line that is still open is no longer waited for: overdue for a quarter of a year, and for longer than it was to take. #}
{% macro given_up_at(ordered_at, due_at) -%}
  coalesce(
    {{ due_at }} + greatest(interval {{ var('overdue_days') }} day, {{ due_at }} - {{ ordered_at }}),
    {{ ordered_at }} + interval {{ days_of_52_weeks() }} day
  )
{%- endmacro %}

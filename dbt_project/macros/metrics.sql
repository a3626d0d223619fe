{# Days of a mean year, for what is reckoned at the pace of a year. #}
{% macro days_a_year() -%} {{ var('days_a_year') }} {%- endmacro %}

{# Days of 52 whole weeks: the past year as a window, in which every weekday counts alike. #}
{% macro days_of_52_weeks() -%} 364 {%- endmacro %}

{# Whether a local day lies within the 52 weeks before Now: the year that every yearly metric is over. #}
{% macro in_last_year(day) -%} {{ day }} >= {{ local_day(now_at()) }} - {{ days_of_52_weeks() }} {%- endmacro %}

{# Units sold of units wanted. #}
{% macro fill_rate(sold, lost) -%} {{ sold }} / nullif({{ sold }} + {{ lost }}, 0) {%- endmacro %}

{#
  A flow at the pace of a year over the mean stock behind it: turns of a cost, GMROI of a margin. Both are sums over the same time, the
  stock's over its days, so that it can be taken over any items, places and weeks.
#}
{% macro a_year_over_stock(flow, stock_days) -%} {{ days_a_year() }} * {{ flow }} / nullif({{ stock_days }}, 0) {%- endmacro %}

{#
  What every fact and dimension said at a cutoff. Where the engine has table macros they live beside the marts:
  `select * from marts.fct_demand_as_known_at(timestamp '2011-06-01')`. The grain is what stays the same from version to version; of a
  dimension, what was announced but did not hold yet is left out.
#}
{% macro grains() %}
  {{ return({
    'dim_items': ['item_id'],
    'dim_lanes': ['from_id', 'to_id', 'item_id', 'mode'],
    'dim_locations': ['location_id'],
    'dim_supplier_terms': ['item_id', 'supplier_id', 'from_quantity'],
    'dim_suppliers': ['supplier_id'],
    'fct_constraints': ['name', 'scope'],
    'fct_demand': ['item_id', 'location_id', 'period_start'],
    'fct_openings': ['location_id', 'target_on'],
    'fct_prices': ['item_id', 'location_id', 'event_at'],
    'fct_promotions': ['name', 'item_id', 'location_id', 'region_id', 'starts_on'],
    'fct_receipts': ['order_id', 'line_id', 'item_id', 'location_id', 'event_at'],
    'fct_shipments': ['shipment_id', 'line_id', 'item_id'],
    'fct_signals': ['name', 'region_id', 'location_id', 'item_id', 'event_at', 'target_on'],
    'fct_stock': ['item_id', 'location_id', 'event_at'],
  }) }}
{% endmacro %}

{% macro as_known_at(relation, grain, cutoff, moment='known_at') %}
  select *
  from (
    select *, row_number() over (partition by {{ grain | join(', ') }} order by {{ moment }} desc, is_current desc) as newest
    from {{ relation }}
    where known_at <= {{ cutoff }} and {{ moment }} <= {{ cutoff }}
  ) as known
  where newest = 1
{% endmacro %}

{# results: dbt's own, of the run that ends; only the marts it built get their macro #}
{% macro create_as_known_at(results) %}{{ adapter.dispatch('create_as_known_at')(results) }}{% endmacro %}

{% macro default__create_as_known_at(results) %}{% endmacro %}

{% macro duckdb__create_as_known_at(results) %}
  {%- if execute -%}
    {%- set built = results | map(attribute='node.name') | list -%}
    {%- for mart, grain in grains().items() if mart in built -%}
      {%- set relation = adapter.get_relation(database=target.database, schema=generate_schema_name('marts', none), identifier=mart) -%}
      {%- if relation is not none %}
        create or replace macro {{ relation.incorporate(path={'identifier': mart ~ '_as_known_at'}) }}(cutoff) as table
        {{ as_known_at(relation, grain, 'cutoff', 'valid_from' if mart.startswith('dim_') else 'known_at') }};
      {%- endif -%}
    {%- endfor -%}
  {%- endif -%}
{% endmacro %}

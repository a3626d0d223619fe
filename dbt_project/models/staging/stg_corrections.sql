{{ config(materialized='table') }}
-- The keys of rows that were handed over in more than one version. Few are, and asking each table once which spares its readers a count
-- of all its keys each.
{%- set tables = [
  'adjustments', 'aliases', 'assortment', 'bills_of_materials', 'calendar', 'components', 'constraints', 'customer_orders',
  'exchange_rates', 'holidays', 'item_units', 'items', 'lane_stops', 'lanes', 'locations', 'openings', 'orders', 'prices',
  'promotions', 'purchase_orders', 'receipts', 'returns', 'sales', 'shipments', 'signals', 'stock', 'substitutes', 'successions',
  'supplier_terms', 'suppliers', 'transfers'
] %}
{% for table in tables %}
select '{{ table }}' as table_name, row_key from {{ source('raw', table) }} group by row_key having count(*) > 1
{{ 'union all' if not loop.last }}
{%- endfor %}

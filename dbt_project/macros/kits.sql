{#
  A line of a kit becomes one line of each of its parts: `lines` must have item_id, quantity, row_key and known_at. What the kit earned
  says nothing about what a part earns. kit_id: the kit, null for what was sold by itself.
#}
{% macro taken_apart(lines) %}
  select
    {{ all_with('lines', {
      'item_id': 'coalesce(kits.part_id, lines.item_id)',
      'quantity': 'lines.quantity * coalesce(kits.quantity, 1)',
      'revenue': 'case when kits.part_id is null then lines.revenue end',
      'row_key': 'case when kits.part_id is null then lines.row_key else ' ~ key_of(['lines.row_key', 'kits.part_id']) ~ ' end',
      'known_at': 'greatest(lines.known_at, kits.known_at)',
    }) }},
    kits.kit_id
  from {{ lines }} as lines
  left join {{ ref('int_components_exploded') }} as kits on lines.item_id = kits.kit_id
{% endmacro %}

{#
  Lines of a cancelled order count until that is known, and not at all where it was known before them: `lines` must have order_id,
  known_at, valid_until and is_current.
#}
{% macro not_called_off(lines) %}
  select
    {{ all_with('lines', {
      'valid_until': 'least(lines.valid_until, called_off.known_at)',
      'is_current': 'lines.is_current and called_off.known_at is null',
    }) }}
  from {{ lines }} as lines
  left join (
    select order_key, min(known_at) as known_at
    from {{ ref('stg_orders') }}
    where is_current and {{ is_cancelled('status') }}
    group by order_key
  ) as called_off on {{ document_key('lines.order_id') }} = called_off.order_key
  where called_off.known_at is null or called_off.known_at > lines.known_at
{% endmacro %}

{# A line of sales that is not so far beyond its item's record that it counts nowhere; `lines` must have row_key and row_hash. #}
{% macro is_within_record(lines) -%}
  not exists (
    select 1 from {{ ref('int_sales_unbelieved') }} as odd where odd.row_key = {{ lines }}.row_key and odd.row_hash = {{ lines }}.row_hash
  )
{%- endmacro %}

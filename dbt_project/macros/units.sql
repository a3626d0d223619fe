{# Quantities are in an item's base unit; a line that counts in packs holds the pack size of the item master times as many. #}
{% macro pack_units() -%} ({% for unit in var('pack_units') %}'{{ unit }}'{{ ', ' if not loop.last }}{% endfor %}) {%- endmacro %}

{# What a pack of each item holds, as newest known. A converted line is known no earlier than that. #}
{% macro packs() %}
  select item_id, pack_size, known_at
  from (
    select
      *,
      row_number() over (
        partition by item_id order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
      ) as newest
    from ({{ identified(ref('stg_items'), {'item_id': 'item'}) }}) as items
    where is_current and pack_size > 0
  ) as ranked
  where newest = 1
{% endmacro %}

{# Joins a fact to its item's pack, only where it counts in packs: one equality, which the engine can hash. #}
{% macro join_packs(fact) -%}
  left join packs on case when {{ fact }}.unit in {{ pack_units() }} then {{ fact }}.item_id end = packs.item_id
{%- endmacro %}

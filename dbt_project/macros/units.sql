{#
  Quantities are in an item's base unit. A line that counts in another unit holds as many of them as the world's item_units say; one
  that counts in packs, the pack size of the item master.
#}
{% macro pack_units() -%} ({% for unit in var('pack_units') %}'{{ unit }}'{{ ', ' if not loop.last }}{% endfor %}) {%- endmacro %}

{# What one unit of each item holds, as newest known, by item and unit. A converted line is known no earlier than that. #}
{% macro packs() %}
  with told as (
    select item_id, unit, quantity as pack_size, 1 as rank, known_at, handed_over_at, row_hash
    from ({{ identified(ref('stg_item_units'), {'item_id': 'item'}) }}) as units
    where is_current and quantity > 0
    union all
    select items.item_id, words.unit, items.pack_size, 2, items.known_at, items.handed_over_at, items.row_hash
    from ({{ identified(ref('stg_items'), {'item_id': 'item'}) }}) as items
    cross join (values {% for unit in var('pack_units') %}('{{ unit }}'){{ ', ' if not loop.last }}{% endfor %}) as words (unit)
    where items.is_current and items.pack_size > 0
  )

  select {{ unit_key('ranked') }} as unit_key, pack_size, known_at
  from (
    select
      *,
      row_number() over (
        partition by item_id, unit order by rank, known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
      ) as newest
    from told
  ) as ranked
  where newest = 1
{% endmacro %}

{% macro unit_key(fact) -%} {{ fact }}.unit || ' ' || {{ fact }}.item_id {%- endmacro %}

{# Joins a fact to what its unit holds: one equality, which the engine can hash, and none where no unit is said. #}
{% macro join_packs(fact) -%} left join packs on {{ unit_key(fact) }} = packs.unit_key {%- endmacro %}

{# How many base units one of the fact's units holds. #}
{% macro units_held(fact) -%}
  coalesce(packs.pack_size, case when {{ fact }}.unit in ('dz', 'dzn', 'doz', 'dozen') then 12 end, 1)
{%- endmacro %}

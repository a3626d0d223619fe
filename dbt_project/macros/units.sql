{#
  Quantities are in an item's base unit. A line that counts in another unit holds as many of them as the world's item_units say; one
  that counts in packs, the pack size of the item master. What nobody says counts nowhere: see int_units_unknown.
#}

{# The one name of a unit, whatever a system calls it: Boxes, bx. and BOX are a box. A world may count in its own money. As models/procurement/unit_codes.py reads it. #}
{% macro unit_word(column) -%}
  {%- set one = one_of("lower(trim(replace(" ~ column ~ ", '.', '')))") -%}
  case
    when {{ column }} is null then null
    when {{ one }} = lower({{ world('currency') }}) then 'money'
    else coalesce({{ named(one, var('unit_words')) }}, {{ one }})
  end
{%- endmacro %}

{# One of what a word says many of: boxes, pallets; a word of up to three letters is its own, as pcs. #}
{% macro one_of(word) -%} {{ adapter.dispatch('one_of')(word) }} {%- endmacro %}

{% macro default__one_of(word) -%}
  regexp_replace(regexp_replace({{ word }}, '^(.+(x|ch|sh|ss))es$', '$1'), '^(..+[^s])s$', '$1')
{%- endmacro %}

{% macro duckdb__one_of(word) -%}
  regexp_replace(regexp_replace({{ word }}, '^(.+(x|ch|sh|ss))es$', '\1'), '^(..+[^s])s$', '\1')
{%- endmacro %}

{# The name under which a word is listed, null where it is not: names are those of lists of words. #}
{% macro named(word, names) -%} {{ adapter.dispatch('named')(word, names) }} {%- endmacro %}

{% macro default__named(word, names) -%}
  element_at(map({% for name, words in names.items() %}{{ _pairs(name, words, ', ') }}{{ ', ' if not loop.last }}{% endfor %}), {{ word }})
{%- endmacro %}

{% macro duckdb__named(word, names) -%}
  map {{ '{' }}{% for name, words in names.items() %}{{ _pairs(name, words, ': ') }}{{ ', ' if not loop.last }}{% endfor %}{{ '}' }}[{{ word }}]
{%- endmacro %}

{% macro _pairs(name, words, between) -%} {% for word in words.split() %}'{{ word }}'{{ between }}'{{ name }}'{{ ', ' if not loop.last }}{% endfor %} {%- endmacro %}

{% macro _quoted(words) -%} {% for word in words.split() %}'{{ word }}'{{ ', ' if not loop.last }}{% endfor %} {%- endmacro %}

{# What one unit of each item holds, as newest known, by item and unit. A converted line is known no earlier than that. #}
{% macro packs() %}
  with told as (
    select item_id, unit, quantity as pack_size, 1 as rank, known_at, handed_over_at, row_hash
    from ({{ identified(ref('stg_item_units'), {'item_id': 'item'}) }}) as units
    where is_current and quantity > 0
    union all
    select items.item_id, words.unit, items.pack_size, 2, items.known_at, items.handed_over_at, items.row_hash
    from ({{ identified(ref('stg_items'), {'item_id': 'item'}) }}) as items
    cross join (values {% for unit in var('pack_units').split() %}('{{ unit }}'){{ ', ' if not loop.last }}{% endfor %}) as words (unit)
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

{# How many base units one of the fact's units holds; null where nobody says. #}
{% macro units_held(fact) -%}
  coalesce(packs.pack_size, case
    when {{ fact }}.unit is null or {{ fact }}.unit in ({{ _quoted(var('base_units')) }}) then 1
    when {{ fact }}.unit = 'dozen' then 12
  end)
{%- endmacro %}

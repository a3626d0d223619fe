{#
  A line of a kit becomes one line of each of its parts: `lines` must have item_id, quantity, row_key and known_at. What the kit earned
  says nothing about what a part earns.
#}
{% macro taken_apart(lines) %}
  select
    lines.* replace (
      coalesce(kits.part_id, lines.item_id) as item_id,
      lines.quantity * coalesce(kits.quantity, 1) as quantity,
      case when kits.part_id is null then lines.revenue end as revenue,
      case when kits.part_id is null then lines.row_key else hash(lines.row_key, kits.part_id) end as row_key,
      greatest(lines.known_at, kits.known_at) as known_at
    )
  from {{ lines }} as lines
  left join {{ ref('int_components_exploded') }} as kits on lines.item_id = kits.kit_id
{% endmacro %}

{#
  Lines of a cancelled order count until that is known, and not at all where it was known before them: `lines` must have order_id,
  known_at, valid_until and is_current.
#}
{% macro not_called_off(lines) %}
  select
    lines.* replace (
      least(lines.valid_until, called_off.known_at) as valid_until,
      lines.is_current and called_off.known_at is null as is_current
    )
  from {{ lines }} as lines
  left join (
    select order_key, min(known_at) as known_at
    from {{ ref('stg_orders') }}
    where is_current and {{ is_cancelled('status') }}
    group by order_key
  ) as called_off on {{ document_key('lines.order_id') }} = called_off.order_key
  where called_off.known_at is null or called_off.known_at > lines.known_at
{% endmacro %}

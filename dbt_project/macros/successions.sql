{#
  What was asked of an item counts for what has taken its place, by its share: `lines` must have item_id, row_key and the measures named.
  The lines themselves stay as they happened, so that stock of the old item is counted down.
#}
{% macro inherited(lines, measures) %}
  select
    lines.* replace (
      coalesce(heirs.successor_id, lines.item_id) as item_id
      {%- for measure in measures %},
      lines.{{ measure }} * coalesce(heirs.share, 1) as {{ measure }}
      {%- endfor %}
    )
  from {{ lines }} as lines
  left join {{ ref('dim_successions') }} as heirs on lines.item_id = heirs.item_id
{% endmacro %}

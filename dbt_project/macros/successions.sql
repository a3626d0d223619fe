{#
  What was asked of an item counts for what has taken its place, by its share: `lines` must have item_id, row_key and the measures named.
  The lines themselves stay as they happened, so that stock of the old item is counted down.
#}
{% macro inherited(lines, measures) %}
  {%- set shared = {'item_id': 'coalesce(heirs.successor_id, lines.item_id)'} %}
  {%- for measure in measures %}
  {%- do shared.update({measure: 'lines.' ~ measure ~ ' * coalesce(heirs.share, 1)'}) %}
  {%- endfor %}
  select
    {{ all_with('lines', shared) }}
  from {{ lines }} as lines
  left join {{ ref('dim_successions') }} as heirs on lines.item_id = heirs.item_id
{% endmacro %}

{#
  What of a count can be sold or shipped: nothing of what is blocked or past its date, and not what is promised to somebody. Stock on
  consignment can be sold.
#}
{% macro available(fact) -%}
  case
    when {{ is_unavailable(fact ~ '.status') }} or coalesce({{ fact }}.expires_at <= {{ fact }}.event_at, false)
      then least({{ fact }}.on_hand, 0)
    when {{ fact }}.reserved > 0 then greatest({{ fact }}.on_hand - {{ fact }}.reserved, least({{ fact }}.on_hand, 0))
    else {{ fact }}.on_hand
  end
{%- endmacro %}

{# What a stock status says, in the words systems use (orchestration/expectations/limit_unit_grain_laws.py refuses others): not to be sold. #}
{% macro is_unavailable(status) -%}
  coalesce({{ matches(status, '^(' ~ var('unavailable_stock') | join('|') ~ ')') }}, false)
{%- endmacro %}

{#
  Stock as stated, with ids resolved. Who counts bin by bin, or lot by lot, is at the last bin later than at the first: bins of one item and
  place that one delivery tells once each, within a day, are one count, made when the last of them was.
#}
{% macro stock_stated(counts) %}
  with said as (
    {{ identified(counts, {'item_id': 'item', 'location_id': 'location'}) }}
  ),

  rounds as (
    select source_id, delivery, item_id, location_id, max(event_at) as ended_at, max(known_at) as told_at
    from said
    where coalesce(bin, lot) is not null and on_hand is not null
    group by source_id, delivery, item_id, location_id
    having
      min(event_at) < max(event_at) and max(event_at) < min(event_at) + interval 1 day
      and count(*) = count(distinct coalesce(bin, '') || ' / ' || coalesce(lot, '') || ' / ' || coalesce(status, ''))
  )

  select
    {{ all_with('said', {
      'event_at': 'coalesce(rounds.ended_at, said.event_at)',
      'known_at': 'greatest(said.known_at, rounds.told_at)',
    }) }}
  from said
  left join rounds
    on coalesce(said.bin, said.lot) is not null and said.on_hand is not null and said.source_id = rounds.source_id
    and said.delivery = rounds.delivery and said.item_id = rounds.item_id and said.location_id = rounds.location_id
{% endmacro %}

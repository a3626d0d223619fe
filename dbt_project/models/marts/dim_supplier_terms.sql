-- On what terms a supplier sells an item, by price break, with their history. Terms announced for a later day hold from that day on:
-- until then they are known, and not yet current. What a supplier says of his own unit is said of base units here: he sells whole ones.
{%- set held = units_held('stated') %}
with packs as ({{ packs() }}),

stated as (
  {{ identified(ref('stg_supplier_terms'), {'item_id': 'item', 'supplier_id': 'supplier'}) }}
),

terms as (
  select
    {{ all_with('stated', {
      'moq': 'stated.moq * ' ~ held,
      'order_multiple':
        'case when stated.unit is null then stated.order_multiple else coalesce(stated.order_multiple, 1) * ' ~ held ~ ' end',
      'from_quantity': 'stated.from_quantity * ' ~ held,
      'unit_cost': 'stated.unit_cost * ' ~ exchanged('stated') ~ ' / ' ~ held,
      'known_at': 'greatest(stated.known_at, packs.known_at)',
    }) }},
    stated.unit as sold_unit, cast({{ units_held('stated') }} as double) as sold_unit_quantity,
    nullif(stated.currency, {{ world('currency') }}) as sold_currency, stated.unit_cost as sold_price
  from stated
  {{ join_packs('stated') }}
  {{ join_rates('stated', now_at()) }}
  where {{ units_held('stated') }} is not null
),

things as (
  select
    item_id, supplier_id, coalesce(from_quantity, 0) as from_quantity,
    coalesce(lead_time_days, ceil(lead_time_working_days * 7.0 / 5)) as lead_time_days, lead_time_working_days, shelf_life_days, moq,
    order_multiple, unit_cost, sold_unit, sold_unit_quantity, sold_currency, sold_price, share, coalesce(ends_at, timestamp '9999-12-31 00:00:00') as ends_at,
    true as is_declared, greatest(known_at, coalesce(starts_at, known_at)) as known_at, known_at as told_at,
    -- two announcements for one day: the later one counts
    case when starts_at > known_at then greatest(known_at, coalesce(handed_over_at, known_at)) else handed_over_at end as handed_over_at, row_hash
  from terms
),

told as (
  select item_id, supplier_id, from_quantity, known_at as valid_from, max(told_at) as known_at
  from things
  group by item_id, supplier_id, from_quantity, known_at
),

{{ history(
  'things', ['item_id', 'supplier_id', 'from_quantity'],
  [
    'lead_time_days', 'lead_time_working_days', 'shelf_life_days', 'moq', 'order_multiple', 'unit_cost', 'sold_unit', 'sold_unit_quantity',
    'sold_currency', 'sold_price', 'share', 'ends_at'
  ]
) }}

select
  history.item_id, history.supplier_id, lead_time_days, lead_time_working_days, shelf_life_days, moq, order_multiple, history.from_quantity,
  {{ unit_money('unit_cost') }} as unit_cost, sold_unit, sold_unit_quantity, sold_currency, {{ unit_money('sold_price') }} as sold_price, share, told.known_at,
  history.valid_from, history.valid_to,
  history.valid_from <= {{ now_at() }} and (history.valid_to is null or history.valid_to > {{ now_at() }})
    and history.ends_at > {{ now_at() }} as is_current
from history
inner join told
  on history.item_id = told.item_id and history.supplier_id = told.supplier_id and history.from_quantity = told.from_quantity
    and history.valid_from = told.valid_from

-- What one of an item's units (a case, a layer, a pallet) holds in base units, as newest known; what the pack size of the item master says
-- of its pack stands in dim_items.
with stated as (
  {{ identified(ref('stg_item_units'), {'item_id': 'item'}) }}
),

ranked as (
  select
    item_id, unit, quantity, known_at,
    row_number() over (partition by item_id, unit order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last) as newest
  from stated
  where is_current and quantity > 0
)

select item_id, unit, quantity, known_at from ranked where newest = 1

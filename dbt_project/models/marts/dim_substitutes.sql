-- What may be sold or used in an item's place at Now, and how many of it for one.
with stated as (
  {{ identified(ref('stg_substitutes'), {'item_id': 'item', 'substitute_id': 'item'}) }}
),

ranked as (
  select
    item_id, substitute_id, cast(coalesce(quantity, 1) as double) as quantity, known_at,
    row_number() over (
      partition by item_id, substitute_id order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
    ) as newest
  from stated
  where is_current and item_id <> substitute_id and coalesce(quantity, 1) > 0
    and coalesce(starts_at <= {{ now_at() }}, true) and coalesce(ends_at >= {{ now_at() }}, true)
)

select item_id, substitute_id, quantity, known_at from ranked where newest = 1

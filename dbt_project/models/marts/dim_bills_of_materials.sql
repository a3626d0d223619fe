-- What making one unit of an item takes of its parts, with what is lost, and between which days: as newest known, and not what has ended.
-- Parts that others have taken the place of are those others, by their share.
with stated as (
  {{ identified(ref('stg_bills_of_materials'), {'item_id': 'item', 'part_id': 'item'}) }}
),

ranked as (
  select
    item_id, part_id, quantity * (1 + coalesce(scrap_share, 0)) as taken,
    {{ local_day('starts_at') }} as starts_on, {{ local_day('ends_at') }} as ends_on, known_at,
    row_number() over (
      partition by item_id, part_id, starts_at order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
    ) as newest
  from stated
  where is_current and quantity > 0 and item_id <> part_id
)

select
  ranked.item_id,
  coalesce(heirs.successor_id, ranked.part_id) as part_id,
  cast(sum(ranked.taken * coalesce(heirs.share, 1)) as double) as taken,
  ranked.starts_on,
  ranked.ends_on,
  max(greatest(ranked.known_at, heirs.known_at)) as known_at
from ranked
left join {{ ref('dim_successions') }} as heirs on ranked.part_id = heirs.item_id
where newest = 1 and coalesce(ranked.ends_on >= {{ local_day(now_at()) }}, true)
group by ranked.item_id, coalesce(heirs.successor_id, ranked.part_id), ranked.starts_on, ranked.ends_on

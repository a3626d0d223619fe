-- Supersession chains at Now, step by step to the item at their end. A successor has an item's place from the day on which an order placed
-- at Now can be there: until then the old item is still ordered.
with recursive stated as (
  {{ identified(ref('stg_successions'), {'item_id': 'item', 'successor_id': 'item'}) }}
),

lead_times as (
  select item_id, max(coalesce(lead_time_days, lead_time_working_days * 7.0 / 5)) as days
  from ({{ identified(ref('stg_supplier_terms'), {'item_id': 'item'}) }}) as terms
  where is_current
  group by item_id
),

ranked as (
  select
    stated.item_id, stated.successor_id, coalesce(stated.share, 1) as share, coalesce(stated.starts_at, stated.known_at) as starts_at,
    stated.known_at, coalesce(lead_times.days, {{ world('lead_time_days') }}, 0) as lead_time_days,
    row_number() over (
      partition by stated.item_id, stated.successor_id
      order by stated.known_at desc, stated.handed_over_at desc nulls last, stated.row_hash desc nulls last
    ) as newest
  from stated
  left join lead_times on stated.successor_id = lead_times.item_id
  where stated.is_current and stated.item_id <> stated.successor_id
),

steps as (
  select item_id, successor_id, share, starts_at, known_at
  from ranked
  where newest = 1 and share > 0 and {{ local_day('starts_at') }} - cast(ceil(lead_time_days) as integer) <= {{ local_day(now_at()) }}
),

-- a loop has no end: landing's gate refuses it, and its length ends it here
followed as (
  select item_id, successor_id, share, starts_at, known_at, 1 as depth from steps
  union all
  select
    followed.item_id, steps.successor_id, followed.share * steps.share, greatest(followed.starts_at, steps.starts_at),
    greatest(followed.known_at, steps.known_at), depth + 1
  from followed
  inner join steps on followed.successor_id = steps.item_id
  where depth < 20 and steps.successor_id <> followed.item_id
)

select item_id, successor_id, share, starts_at, known_at
from followed
where successor_id not in (select item_id from steps)

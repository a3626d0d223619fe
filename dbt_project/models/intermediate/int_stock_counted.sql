{{ config(materialized='table') }}
-- What was counted of an item at a place and time and can be sold, every version, in base units. One place may be counted in parts (bins, lots): rows of
-- one source that differ in their key are added up, as known at each time; of two sources the one that spoke last is believed.
with packs as ({{ packs() }}),

stated as ({{ stock_stated(ref('stg_stock')) }}),

stock as (
  select
    stated.item_id, stated.location_id, stated.event_at, {{ available('stated') }} * {{ units_held('stated') }} as on_hand, stated.is_in_stock,
    stated.unit_cost * {{ exchanged('stated') }} / {{ units_held('stated') }} as unit_cost, stated.source_id, stated.row_key,
    greatest(stated.known_at, packs.known_at) as known_at, stated.valid_until, stated.is_current
  from stated
  {{ join_packs('stated') }}
  {{ join_rates('stated', 'stated.event_at') }}
  where {{ units_held('stated') }} is not null
),

parted as (
  select item_id, location_id, event_at from stock group by item_id, location_id, event_at having min(row_key) <> max(row_key)
),

parts as (select stock.* from stock inner join parted using (item_id, location_id, event_at)),

moments as (
  select item_id, location_id, event_at, known_at, lead(known_at) over grain as valid_until, lead(true) over grain is null as is_current
  from (select distinct item_id, location_id, event_at, known_at from parts) as told
  window grain as (partition by item_id, location_id, event_at order by known_at)
),

valid as (
  select
    moments.item_id, moments.location_id, moments.event_at, moments.known_at, moments.valid_until, moments.is_current,
    parts.on_hand, parts.is_in_stock, parts.unit_cost, parts.source_id,
    first_value(case when parts.on_hand is not null then parts.source_id end) over (
      partition by moments.item_id, moments.location_id, moments.event_at, moments.known_at
      order by parts.on_hand is null, parts.known_at desc, parts.source_id
    ) as counted_by
  from moments
  inner join parts
    on moments.item_id = parts.item_id and moments.location_id = parts.location_id and moments.event_at = parts.event_at
    and parts.known_at <= moments.known_at and (parts.valid_until is null or parts.valid_until > moments.known_at)
)

select item_id, location_id, event_at, on_hand, is_in_stock, unit_cost, known_at, valid_until, is_current
from stock
where not exists (
  select 1 from parted
  where parted.item_id = stock.item_id and parted.location_id = stock.location_id and parted.event_at = stock.event_at
)

union all

select
  item_id, location_id, event_at,
  sum(on_hand) filter (where source_id = counted_by) as on_hand,
  bool_or(is_in_stock) as is_in_stock,
  max(unit_cost) as unit_cost,
  known_at, valid_until, is_current
from valid
group by item_id, location_id, event_at, known_at, valid_until, is_current

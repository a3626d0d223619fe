{{ config(materialized='table') }}
-- Every item and location that sold or is declared in the assortment, numbered, with the days its demand covers: from the first sale, the
-- declared day or the first time it was seen on the shelf on, whichever was first: what lay there and did not sell was not wanted. Before
-- anything was sold anywhere, the books had not begun. Where a kit is listed, its parts are.
with sales as {{ inlined() }} ({{ inherited(ref('int_sales_dated'), []) }}),

shelved as (
  select item_id, location_id, greatest(min(event_at), (select min(event_at) from {{ ref('int_sales_dated') }})) as starts_at
  from {{ ref('int_stock_counted') }}
  where valid_until is null and (is_in_stock or (is_in_stock is null and on_hand > 0))
  group by item_id, location_id
),

sold as (
  select
    item_id,
    location_id,
    coalesce(min(event_at) filter (where quantity > 0), min(event_at)) as starts_at,
    min(known_at) as known_at
  from sales
  group by item_id, location_id
),

assortment as (
  {{ identified(ref('stg_assortment'), {'item_id': 'item', 'location_id': 'location'}) }}
),

declared as (
  select
    coalesce(heirs.successor_id, kits.part_id, assortment.item_id) as item_id,
    location_id,
    min(starts_at) as starts_at,
    case when count(*) = count(case when heirs.item_id is null then ends_at end) then max(ends_at) end as ends_at,
    min(assortment.known_at) as known_at
  from assortment
  left join {{ ref('int_components_exploded') }} as kits on assortment.item_id = kits.kit_id
  left join {{ ref('dim_successions') }} as heirs on coalesce(kits.part_id, assortment.item_id) = heirs.item_id
  where is_current
  group by 1, 2
),

series as (
  select
    item_id,
    location_id,
    least(sold.starts_at, declared.starts_at, shelved.starts_at) as starts_at,
    declared.ends_at,
    least(sold.known_at, declared.known_at) as known_at,
    sold.item_id is not null as is_sold,
    declared.item_id is not null as is_declared
  from sold
  full join declared using (item_id, location_id)
  left join shelved using (item_id, location_id)
)

select
  cast(row_number() over (order by item_id, location_id) as integer) as series_id,
  item_id,
  location_id,
  {{ local_day('starts_at') }} as first_day,
  {{ local_day('ends_at') }} as last_day,
  known_at,
  is_sold,
  is_declared
from series

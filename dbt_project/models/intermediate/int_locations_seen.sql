-- when each location was first met in any fact, declared or not
with stock as ({{ identified(ref('stg_stock'), {'location_id': 'location'}) }}),

receipts as ({{ identified(ref('stg_receipts'), {'location_id': 'location'}) }}),

locations as ({{ identified(ref('stg_locations'), {'supplied_from': 'location'}) }}),

seen as (
  select location_id, known_at from {{ ref('int_series_started') }}
  union all select location_id, known_at from {{ ref('int_returns_matched') }}
  union all select location_id, known_at from stock
  union all select location_id, known_at from receipts
  union all select location_id, known_at from {{ ref('int_orders_placed') }}
  union all select from_id, known_at from {{ ref('int_orders_placed') }} where kind = 'transfer'
  union all select supplied_from, known_at from locations
)

select location_id, min(known_at) as known_at from seen where location_id is not null group by location_id

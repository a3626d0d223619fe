{{ config(materialized='table') }}
-- Every movement of stock, newest versions: goods received and returned come in, goods sold and shipped go out. A transfer leaves its
-- origin when ordered and reaches its destination when received.
with adjustments as ({{ identified(ref('stg_adjustments'), {'item_id': 'item', 'location_id': 'location'}) }})

select item_id, location_id, event_at, quantity as delta, 'receipt' as kind, known_at
from {{ ref('int_receipts_stated') }} where is_current
union all
select item_id, location_id, received_at, received_quantity, 'arrival', known_at
from {{ ref('int_orders_received') }} where received_at is not null and (kind = 'transfer' or is_assumed)
union all
select item_id, from_id, ordered_at, -quantity, 'departure', known_at
from {{ ref('int_orders_received') }} where kind = 'transfer'
union all
select item_id, location_id, event_at, -quantity, 'sale', known_at
from {{ ref('int_sales_dated') }} where is_current
union all
select item_id, location_id, event_at, quantity, 'return', known_at
from {{ ref('int_returns_matched') }} where is_current
union all
select item_id, location_id, event_at, delta, 'adjustment', known_at
from adjustments where is_current

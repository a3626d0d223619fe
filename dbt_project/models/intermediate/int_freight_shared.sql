-- Freight of each shipment line. A line may be billed with another one (bills_with names its line, shipment or order): the bill is
-- shared by weight, else by quantity, else evenly.
with stated as (
  {{ identified(ref('stg_shipments'), {'from_id': ['location', 'supplier'], 'to_id': 'location', 'item_id': 'item'}) }}
),

dated as (
  select order_key, max(event_at) as event_at, max(known_at) as known_at
  from (
    select order_key, event_at, known_at from {{ ref('stg_orders') }} where is_current
    union all
    select {{ document_key('order_id') }}, event_at, known_at from {{ ref('stg_purchase_orders') }} where is_current and event_at is not null
  ) as orders
  group by order_key
),

-- a shipment that says no time has its order's, and one without an order is known when it was handed over
shipments as (
  select
    {{ all_with('stated', {
      'event_at': 'coalesce(stated.event_at, dated.event_at)',
      'known_at':
        'coalesce(stated.known_at, greatest(dated.event_at + ' ~ lag_of('stated.known_lag')
        ~ ', stated.handed_over_at, dated.known_at), stated.handed_over_at)',
    }) }}
  from stated
  left join dated on stated.known_at is null and {{ document_key('stated.order_id') }} = dated.order_key
),

bills as (
  select
    {{ all_with('shipments', {'freight_cost': 'shipments.freight_cost * ' ~ exchanged('shipments')}) }},
    coalesce(bills_with, line_id, shipment_id) as bill_id
  from shipments
  {{ join_rates('shipments', 'coalesce(shipments.event_at, shipments.known_at)') }}
  where known_at <= {{ now_at() }}
),

weighed as (
  select
    *,
    sum(freight_cost) over bill as bill_cost,
    count(*) over bill as bill_lines,
    case when count(weight_kg) over bill = count(*) over bill then weight_kg else quantity end as share,
    max(known_at) over bill as bill_known_at
  from bills
  window bill as (partition by bill_id, is_current)
)

select
  shipment_id, line_id, order_id, from_id, to_id, item_id, quantity, weight_kg, mode,
  coalesce(shipped_at, event_at) as shipped_at,
  promised_at, delivered_at,
  case
    when bill_lines = 1 then freight_cost
    else bill_cost * coalesce(share / nullif(sum(share) over (partition by bill_id, is_current), 0), 1.0 / bill_lines)
  end as freight_cost,
  case when bill_lines = 1 then known_at else bill_known_at end as known_at,
  is_current
from weighed

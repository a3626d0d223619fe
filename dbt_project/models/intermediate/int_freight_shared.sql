-- Freight of each shipment line. A line may be billed with another one (bills_with names its line, shipment or order): the bill is
-- shared by weight, else by quantity, else evenly.
with shipments as (
  {{ identified(ref('stg_shipments'), {'from_id': 'location', 'to_id': 'location', 'item_id': 'item'}) }}
),

bills as (
  select *, coalesce(bills_with, line_id, shipment_id) as bill_id from shipments
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

-- what was shipped, when it was promised and delivered, and its share of the freight bill, every version
select
  shipment_id, line_id, from_id, to_id, item_id, quantity, weight_kg, mode, shipped_at, promised_at, delivered_at,
  {{ local_day('promised_at') }} as promised_on, {{ local_day('delivered_at') }} as delivered_on, {{ amount('freight_cost') }} as freight_cost,
  known_at, is_current
from {{ ref('int_freight_shared') }}

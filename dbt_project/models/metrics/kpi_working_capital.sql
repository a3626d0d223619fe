-- money tied up at Now: stock at cost, less what was received and is not yet due for payment; what is on order comes on top
with payables as (
  select receipts.item_id, receipts.location_id, sum(receipts.quantity) as unpaid_quantity
  from {{ ref('fct_receipts') }} as receipts
  inner join {{ ref('dim_suppliers') }} as suppliers on receipts.supplier_id = suppliers.supplier_id and suppliers.is_current
  where receipts.is_current and {{ days_apart(local_day('receipts.event_at'), local_day(now_at())) }} < suppliers.payment_days
  group by receipts.item_id, receipts.location_id
)

select
  positions.item_id,
  positions.location_id,
  {{ amount('positions.on_hand * planned.unit_cost') }} as stock_value,
  {{ amount('positions.on_order * planned.unit_cost') }} as on_order_value,
  {{ amount('coalesce(payables.unpaid_quantity, 0) * planned.unit_cost') }} as payable_value,
  {{ amount('(positions.on_hand - coalesce(payables.unpaid_quantity, 0)) * planned.unit_cost') }} as working_capital
from {{ ref('fct_stock_positions') }} as positions
inner join {{ ref('dim_item_locations') }} as planned
  on positions.item_id = planned.item_id and positions.location_id = planned.location_id
left join payables on positions.item_id = payables.item_id and positions.location_id = payables.location_id
where positions.stock_known_at is not null

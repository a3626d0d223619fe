-- What the planner plans: every planned item and location at Now with its supply and its economics. What nobody states is the
-- world's default, and is_assumed says so.
with priced as (
  select
    supplied.*,
    items.weight_kg,
    items.category,
    items.holding_cost as stated_holding,
    items.shortage_cost as stated_shortage,
    coalesce(prices.price, costs.unit_cost / (1 - coalesce({{ world('shortage_margin') }}, 0.4)), 1) as price,
    prices.price is null as is_price_assumed,
    coalesce(
      costs.unit_cost, prices.price * (1 - coalesce({{ world('shortage_margin') }}, 0.4)), 1 - coalesce({{ world('shortage_margin') }}, 0.4)
    ) as unit_cost,
    costs.unit_cost is null as is_cost_assumed,
    freight.freight_per_unit as typical_freight
  from {{ ref('int_item_locations_supplied') }} as supplied
  inner join {{ ref('dim_items') }} as items on supplied.item_id = items.item_id and items.is_current
  left join {{ ref('int_prices_current') }} as prices
    on supplied.item_id = prices.item_id and supplied.location_id = prices.location_id
  left join {{ ref('int_costs_current') }} as costs on supplied.item_id = costs.item_id
  left join {{ ref('int_freight_typical') }} as freight
    on supplied.item_id = freight.item_id and supplied.location_id = freight.to_id
),

timed as (
  select
    *,
    coalesce(
      stated_days, {{ world('lead_time_periods') }} * {{ days_a_period() }}, {{ world('lead_time_days') }}, typical_days, {{ days_a_period() }}
    ) as lead_time_days,
    case when stated_days is null then {{ world('lead_time_periods') }} end as planned_periods,
    coalesce(
      stated_holding, {{ world('holding_per_unit_period') }},
      coalesce({{ world('holding_per_year') }}, 0.25) * unit_cost * {{ days_a_period() }} / {{ days_a_year() }}
    ) as holding_cost,
    coalesce(stated_shortage, {{ world('shortage_per_unit') }}, coalesce({{ world('shortage_margin') }}, 0.4) * price) as shortage_cost,
    stated_days is null and {{ world('lead_time_periods') }} is null and {{ world('lead_time_days') }} is null as is_lead_time_assumed
  from priced
)

select
  item_id,
  location_id,
  role,
  is_forecast,
  kind,
  from_id,
  cast(lead_time_days as double) as lead_time_days,
  cast(coalesce(planned_periods, ceil(lead_time_days / {{ days_a_period() }})) as integer) as lead_time_periods,
  lead_time_working_days,
  departure_days,
  coalesce(moq, 0) as moq,
  greatest(coalesce(order_multiple, case when {{ world('is_whole_units') }} then 1 end), 0.001) as order_multiple,
  {{ unit_money('unit_cost') }} as unit_cost,
  {{ unit_money('price') }} as price,
  {{ unit_money('holding_cost') }} as holding_cost,
  {{ unit_money('shortage_cost') }} as shortage_cost,
  weight_kg,
  {{ unit_money('coalesce(freight_per_kg * weight_kg, typical_freight, 0)') }} as freight_per_unit,
  category,
  is_assumed
  or is_lead_time_assumed
  or (stated_holding is null and {{ world('holding_per_unit_period') }} is null
    and (is_cost_assumed or {{ world('has_assumed_economics') }}))
  or (stated_shortage is null and {{ world('shortage_per_unit') }} is null
    and (is_price_assumed or {{ world('has_assumed_economics') }})) as is_assumed
from timed

-- how each planned item reaches its location: from whom or where, how long it takes, in what lots, and its freight
with planned as (
  select
    planned.item_id,
    planned.location_id,
    planned.role,
    planned.is_forecast,
    case when planned.supplied_from is null then 'purchase' else 'transfer' end as kind,
    coalesce(planned.supplied_from, sourced.supplier_id) as from_id,
    case when planned.supplied_from is null then sourced.lead_time_days end as lead_time_days,
    case when planned.supplied_from is null then sourced.lead_time_working_days end as lead_time_working_days,
    case when planned.supplied_from is null then sourced.moq end as moq,
    case when planned.supplied_from is null then sourced.order_multiple end as order_multiple,
    planned.supplied_from is null and not sourced.has_terms
      and exists (select 1 from {{ ref('dim_supplier_terms') }}) as is_assumed
  from {{ ref('int_item_locations_planned') }} as planned
  inner join {{ ref('int_items_sourced') }} as sourced on planned.item_id = sourced.item_id
)

select
  planned.item_id,
  planned.location_id,
  planned.role,
  planned.is_forecast,
  planned.kind,
  planned.from_id,
  planned.lead_time_working_days,
  case when planned.kind = 'transfer' then coalesce(own.departure_days, lane.departure_days) end as departure_days,
  planned.moq,
  planned.order_multiple,
  coalesce(planned.lead_time_days, own.transit_days, lane.transit_days) as stated_days,
  coalesce(typical.lead_time_days, typical_anywhere.lead_time_days) as typical_days,
  coalesce(own.freight_per_kg, lane.freight_per_kg) as freight_per_kg,
  planned.is_assumed
from planned
left join {{ ref('int_lanes_cheapest') }} as own
  on planned.from_id = own.from_id and planned.location_id = own.to_id and planned.item_id = own.item_id
left join {{ ref('int_lanes_cheapest') }} as lane
  on planned.from_id = lane.from_id and planned.location_id = lane.to_id and lane.item_id is null
left join {{ ref('int_lead_times_typical') }} as typical on planned.from_id = typical.from_id
left join {{ ref('int_lead_times_typical') }} as typical_anywhere on typical_anywhere.from_id is null

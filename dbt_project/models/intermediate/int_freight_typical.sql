-- what a unit's freight has cost on average, by item and destination, for lanes without a tariff
select item_id, to_id, sum(freight_cost) / nullif(sum(quantity), 0) as freight_per_unit
from {{ ref('fct_shipments') }}
where is_current and item_id is not null and freight_cost is not null
group by item_id, to_id

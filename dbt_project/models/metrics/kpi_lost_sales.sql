-- What an empty shelf may have cost: in each censored period the mean known demand of the 28 periods before, less what still sold.
with censored as (
  select distinct item_id, location_id from {{ ref('fct_demand') }} where is_current and is_censored
),

series as (
  select demand.*,
    avg(quantity) over (
      partition by demand.item_id, demand.location_id order by period_start rows between 28 preceding and 1 preceding
    ) as expected_quantity
  from {{ ref('fct_demand') }} as demand
  inner join censored on demand.item_id = censored.item_id and demand.location_id = censored.location_id
  where demand.is_current
)

select
  series.item_id,
  series.location_id,
  series.period_start,
  series.sold_quantity,
  cast(coalesce(series.expected_quantity, series.sold_quantity) as double) as expected_quantity,
  cast(greatest(coalesce(series.expected_quantity, 0) - series.sold_quantity, 0) as double) as lost_quantity,
  {{ amount('greatest(coalesce(series.expected_quantity, 0) - series.sold_quantity, 0) * coalesce(planned.price, 0)') }} as lost_revenue
from series
left join {{ ref('dim_item_locations') }} as planned
  on series.item_id = planned.item_id and series.location_id = planned.location_id
where series.is_censored

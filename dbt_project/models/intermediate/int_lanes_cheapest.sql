-- the cheapest way from one place to another at Now, for one item or for all
select from_id, to_id, item_id, transit_days, freight_per_kg, departure_days
from (
  select
    *,
    row_number() over (partition by from_id, to_id, item_id order by freight_per_kg nulls last, transit_days nulls last, mode) as preference
  from {{ ref('dim_lanes') }}
  where is_current
) as ranked
where preference = 1

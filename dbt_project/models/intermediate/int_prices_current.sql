-- what one unit earns at Now: the newest price in force, else what was paid on average over the last year
with listed as (
  select item_id, location_id, price
  from (
    select *, row_number() over (partition by item_id, location_id order by event_at desc, known_at desc) as newest
    from {{ ref('fct_prices') }}
    where is_current and event_at <= {{ now_at() }}
  ) as ranked
  where newest = 1
),

paid as (
  select item_id, location_id, sum(revenue) / nullif(sum(sold_quantity - returned_quantity), 0) as price
  from {{ ref('fct_demand') }}
  where is_current and revenue > 0 and sold_quantity > returned_quantity and {{ in_last_year('period_start') }}
  group by item_id, location_id
),

anywhere as (
  select item_id, avg(price) as price
  from (select item_id, price from listed union all select item_id, price from paid where item_id not in (select item_id from listed)) as prices
  group by item_id
)

select
  planned.item_id,
  planned.location_id,
  coalesce(here.price, everywhere.price, paid.price, anywhere.price) as price
from {{ ref('int_item_locations_planned') }} as planned
left join listed as here on planned.item_id = here.item_id and planned.location_id = here.location_id
left join listed as everywhere on planned.item_id = everywhere.item_id and everywhere.location_id is null
left join paid on planned.item_id = paid.item_id and planned.location_id = paid.location_id
left join anywhere on planned.item_id = anywhere.item_id

-- the price of an item at a location from a time on. A correction replaces its own row; what precedes a row is taken as first known,
-- and a row waits until all it is compared with is known.
with priced as (
  select series.item_id, series.location_id, price.event_at, price.known_at,
    {{ trained_on('price.price') }} as price
  from {{ ref('fct_prices') }} as price
  inner join {{ ref('int_series_started') }} as series
    on price.item_id = series.item_id and (price.location_id = series.location_id or price.location_id is null)
  -- a price for the location itself goes before one for everywhere
  qualify row_number() over (
    partition by series.item_id, series.location_id, price.event_at, price.known_at
    order by price.location_id nulls last, price.price
  ) = 1
),

first_known as (
  select * from priced
  qualify row_number() over (partition by item_id, location_id, event_at order by known_at) = 1
),

compared as (
  select
    item_id, location_id, event_at,
    lag(price) over past as price_before,
    avg(price) over past_year as price_mean,
    max(known_at) over past_year as past_known_at
  from first_known
  window
    past as (partition by item_id, location_id order by event_at),
    past_year as (
      partition by item_id, location_id order by event_at
      range between interval {{ days_of_52_weeks() }} day preceding and current row
    )
)

select
  priced.item_id,
  priced.location_id,
  priced.event_at,
  greatest(priced.known_at, compared.past_known_at) as known_at,
  cast(priced.price as float) as price,
  cast(priced.price / nullif(compared.price_mean, 0) as float) as relative_price,
  cast(priced.price / nullif(compared.price_before, 0) - 1 as float) as price_change
from priced
inner join compared using (item_id, location_id, event_at)
-- a version that waited beside a later one is overtaken by it
qualify row_number() over (
  partition by priced.item_id, priced.location_id, priced.event_at, greatest(priced.known_at, compared.past_known_at)
  order by priced.known_at desc
) = 1

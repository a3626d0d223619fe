-- prices with ids resolved and every row dated: its own time, else the first day of its period
with prices as (
  {{ identified(ref('stg_prices'), {'item_id': 'item', 'location_id': 'location'}) }}
),

periods as (
  select period_id, {{ midnight_of('min(day)') }} as event_at, min(known_at) as known_at
  from {{ ref('stg_calendar') }}
  where is_current
  group by period_id
),

found as (
  select
    prices.* exclude (event_at, known_at, valid_until, is_current),
    periods.event_at,
    greatest(
      coalesce(prices.known_at, periods.event_at + coalesce(prices.known_lag, interval 0 day)), prices.handed_over_at, periods.known_at
    ) as known_at
  from prices
  inner join periods on prices.period_id = periods.period_id
  where prices.event_at is null
),

known as (select * from found where known_at <= {{ now_at() }})

select item_id, location_id, price, list_price, event_at, row_key, known_at, is_current
from prices
where event_at is not null

union all

select item_id, location_id, price, list_price, event_at, row_key, known_at, is_current
from ({{ versions('known') }}) as versioned

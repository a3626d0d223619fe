-- prices with ids resolved and every row dated: its own time, else the first day of its period
with prices as {{ inlined() }} (
  {{ identified(ref('stg_prices'), {'item_id': 'item', 'location_id': 'location'}) }}
),

found as {{ inlined() }} (
  select
    prices.item_id, prices.location_id, prices.price, prices.list_price, prices.currency, prices.tax_share, prices.row_key, prices.row_hash, prices.handed_over_at,
    periods.event_at,
    greatest(
      coalesce(prices.known_at, periods.event_at + {{ lag_of('prices.known_lag') }}), prices.handed_over_at, periods.known_at
    ) as known_at
  from prices
  inner join {{ ref('int_periods_named') }} as periods on prices.period_id = periods.period_id
  where prices.event_at is null
),

known as {{ inlined() }} (select * from found where known_at <= {{ now_at() }}),

stated as {{ inlined() }} (
  select item_id, location_id, price, list_price, currency, tax_share, event_at, known_at, is_current
  from prices
  where event_at is not null
  union all
  select item_id, location_id, price, list_price, currency, tax_share, event_at, known_at, is_current
  from ({{ versions('known') }}) as versioned
)

select
  stated.item_id, stated.location_id, {{ net('stated', 'price') }} as price, {{ net('stated', 'list_price') }} as list_price, stated.event_at,
  stated.known_at, stated.is_current
from stated
{{ join_rates('stated', 'stated.event_at') }}

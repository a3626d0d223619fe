-- what one unit of a currency is worth in the world's, from when until when; what happened before the first rate has the first
with ranked as (
  select
    currency, rate, event_at,
    row_number() over (
      partition by currency, event_at order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last
    ) as newest
  from {{ ref('stg_exchange_rates') }}
  where is_current and rate > 0 and currency <> {{ world('currency') }}
)

select
  currency,
  rate,
  case
    when lag(event_at) over told is null then timestamp '0001-01-01 00:00:00' else event_at
  end as starts_at,
  coalesce(lead(event_at) over told, timestamp '9999-12-31 00:00:00') as ends_at
from ranked
where newest = 1
window told as (partition by currency order by event_at)

union all

select currency, 1.0, timestamp '0001-01-01 00:00:00', timestamp '9999-12-31 00:00:00' from {{ ref('stg_world') }}

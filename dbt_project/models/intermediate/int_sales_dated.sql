-- sales with ids resolved, quantities in base units, and every line dated: its own time, else its order's, else its period's
with sales as (
  {{ identified(ref('stg_sales'), {'item_id': 'item', 'location_id': 'location'}) }}
),

orders as ({{ newest('stg_orders', ['order_id'], ['event_at', 'known_at']) }}),

periods as (
  select period_id, {{ midnight_of('min(day)') }} as event_at, min(known_at) as known_at
  from {{ ref('stg_calendar') }}
  where is_current
  group by period_id
),

found as (
  select
    sales.* exclude (event_at, known_at, valid_until, is_current),
    coalesce(orders.event_at, periods.event_at) as event_at,
    greatest(
      coalesce(sales.known_at, coalesce(orders.event_at, periods.event_at) + coalesce(sales.known_lag, interval 0 day)),
      sales.handed_over_at, orders.known_at, periods.known_at
    ) as known_at
  from sales
  left join orders on sales.order_id = orders.order_id
  left join periods on sales.period_id = periods.period_id and orders.order_id is null
  where sales.event_at is null and coalesce(orders.order_id, periods.period_id) is not null
),

known as (select * from found where known_at <= {{ now_at() }}),

dated as (
  select
    item_id, location_id, quantity, revenue, event_at, order_id, line_id, customer_id, unit_price, unit, row_key, known_at, valid_until, is_current
  from sales
  where event_at is not null

  union all

  select
    item_id, location_id, quantity, revenue, event_at, order_id, line_id, customer_id, unit_price, unit, row_key, known_at, valid_until, is_current
  from ({{ versions('known') }}) as versioned
)

select * from dated

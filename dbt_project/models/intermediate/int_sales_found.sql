-- sales that say only their order or period: in base units, dated by it, known when it says, and versioned by that
with sales as (
  {{ identified(ref('stg_sales'), {'item_id': 'item', 'location_id': 'location'}) }}
  where fact.event_at is null and {{ is_within_record('fact') }}
),

orders as ({{ newest('stg_orders', ['order_key'], ['event_at', 'known_at']) }}),

packs as ({{ packs() }}),

found as (
  select
    sales.item_id, sales.location_id, sales.quantity * {{ units_held('sales') }} as quantity,
    {{ net('sales', 'revenue') }} as revenue, sales.order_id, sales.customer_id, sales.row_key, sales.row_hash,
    sales.handed_over_at,
    coalesce(orders.event_at, periods.event_at) as event_at,
    greatest(
      coalesce(sales.known_at, coalesce(orders.event_at, periods.event_at) + {{ lag_of('sales.known_lag') }}),
      sales.handed_over_at, orders.known_at, periods.known_at, packs.known_at
    ) as known_at
  from sales
  left join orders on {{ document_key('sales.order_id') }} = orders.order_key
  left join {{ ref('int_periods_named') }} as periods on sales.period_id = periods.period_id and orders.order_key is null
  {{ join_packs('sales') }}
  {{ join_rates('sales', 'coalesce(orders.event_at, periods.event_at)') }}
  where {{ units_held('sales') }} is not null
),

-- what finds neither its order nor its period has no day, and counts once it does
known as (select * from found where event_at is not null and known_at <= {{ now_at() }})

select * from ({{ versions('known') }}) as versioned

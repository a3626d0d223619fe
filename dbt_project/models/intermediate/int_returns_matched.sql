{{ config(materialized='table') }}
-- Each return beside the sale it takes back, so that it corrects the period of that sale. By the order it names, else the latest
-- sale of the same quantity to the same customer (opened and closed like brackets: one return a sale), else a larger sale to that
-- customer. Only sales known before the return count, and only their first version: a later correction moves no match.
with packs as ({{ packs() }}),

stated as (
  {{ identified(ref('stg_returns'), {'item_id': 'item', 'location_id': 'location'}) }}
),

lines as (
  select
    stated.row_key, stated.item_id, stated.location_id, stated.order_id, stated.customer_id, {{ net('stated', 'revenue') }} as revenue, stated.event_at,
    stated.quantity * {{ units_held('stated') }} as quantity,
    greatest(stated.known_at, packs.known_at) as known_at,
    stated.valid_until, stated.is_current
  from stated
  {{ join_packs('stated') }}
  {{ join_rates('stated', 'stated.event_at') }}
  where {{ units_held('stated') }} is not null
),

returns as ({{ taken_apart('lines') }}),

first_returns as (
  select * from (
    select *, row_number() over (partition by row_key order by known_at, valid_until) as version from returns
  ) as numbered
  where version = 1
),

candidates as (
  select sales.*
  from {{ ref('int_sales_dated') }} as sales
  where exists (
    select 1 from first_returns as returned
    where returned.item_id = sales.item_id and returned.location_id = sales.location_id and returned.quantity <= sales.quantity
  )
),

first_sales as (
  select * from (
    select *, row_number() over (partition by row_key order by known_at, valid_until) as version from candidates
  ) as numbered
  where version = 1
),

by_order as (
  select returned.row_key, max(sale.event_at) as sold_at
  from first_returns as returned
  inner join first_sales as sale
    on {{ document_key('returned.order_id') }} = {{ document_key('sale.order_id') }} and returned.item_id = sale.item_id and returned.location_id = sale.location_id
    and sale.known_at <= returned.known_at and sale.event_at <= returned.event_at
  group by returned.row_key
),

steps as (
  select item_id, location_id, coalesce(customer_id, '') as customer_id, quantity, known_at, event_at, row_key, 1 as step
  from first_sales
  union all
  select item_id, location_id, coalesce(customer_id, ''), quantity, known_at, event_at, row_key, -1
  from first_returns
  where row_key not in (select row_key from by_order)
),

depths as (
  select *, sum(step) over (
    partition by item_id, location_id, customer_id, quantity order by known_at, event_at, step desc, row_key
    rows between unbounded preceding and current row
  ) as depth
  from steps
),

levels as (
  select
    *,
    -- the level a sale opens, or a return closes; a return with nothing open closes nothing and lowers the ground
    depth - least(0, min(depth) over (
      partition by item_id, location_id, customer_id, quantity order by known_at, event_at, step desc, row_key
      rows between unbounded preceding and current row
    )) + case when step = -1 then 1 else 0 end as level
  from depths
),

brackets as (
  select
    row_key,
    step,
    lag(step) over bracket as opened_by,
    lag(event_at) over bracket as sold_at,
    event_at
  from levels
  window bracket as (
    partition by item_id, location_id, customer_id, quantity, level order by known_at, event_at, step desc, row_key
  )
),

by_quantity as (
  select row_key, sold_at from brackets where step = -1 and opened_by = 1 and sold_at <= event_at
),

by_customer as (
  select returned.row_key, max(sale.event_at) as sold_at
  from first_returns as returned
  inner join first_sales as sale
    on returned.item_id = sale.item_id and returned.location_id = sale.location_id and returned.customer_id = sale.customer_id
    and returned.quantity < sale.quantity and sale.known_at <= returned.known_at and sale.event_at <= returned.event_at
  where returned.row_key not in (select row_key from by_order union all select row_key from by_quantity)
  group by returned.row_key
),

matches as (
  select row_key, sold_at, 'order' as matched_by from by_order
  union all select row_key, sold_at, 'quantity' from by_quantity
  union all select row_key, sold_at, 'customer' from by_customer
)

select
  returns.row_key,
  returns.item_id,
  returns.location_id,
  returns.quantity,
  coalesce(returns.revenue, 0) as revenue,
  returns.event_at,
  coalesce(matches.sold_at, returns.event_at) as counts_at,
  coalesce(matches.matched_by, 'nothing') as matched_by,
  returns.known_at,
  returns.valid_until,
  returns.is_current
from returns
left join matches on returns.row_key = matches.row_key

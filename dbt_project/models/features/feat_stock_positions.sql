-- the stock position and how long it lasts, one row each time a count, an order, a receipt or a period of demand became known. Read
-- along one line of time for each series: no join of times, and nothing to do where a world tells of no stock.
with held as (
  select item_id, location_id, known_at, cast(on_hand as double) as on_hand, cast(0 as double) as on_order_change
  from {{ ref('feat_stock') }}
  where on_hand is not null
  union all
  select item_id, location_id, known_at, null, on_order_change from {{ ref('int_orders_changed') }}
),

told as (
  select
    item_id, location_id, known_at, true as is_held, on_hand, on_order_change, null as version, cast(null as float) as demand_mean
  from held
  union all
  select
    item_id, location_id, greatest(event_at, known_at), false, null, 0, {{ together(['event_at', 'known_at']) }}, demand_mean_28
  from {{ ref('feat_demand') }}
  semi join (select distinct item_id, location_id from held) as series using (item_id, location_id)
),

known as (
  select
    item_id, location_id, known_at,
    {{ last_known('on_hand') }} over so_far as on_hand,
    -- sums of changes leave crumbs of floating point
    round(sum(on_order_change) over so_far, 6) as on_order,
    {{ newest_of('demand_mean', 'version') }} filter (where not is_held) over so_far as demand_mean
  from told
  window so_far as (partition by item_id, location_id order by known_at range between unbounded preceding and current row)
  qualify bool_or(is_held) over so_far and row_number() over (partition by item_id, location_id, known_at order by is_held) = 1
)

select
  item_id,
  location_id,
  known_at as event_at,
  known_at,
  cast(on_order as float) as on_order,
  cast(on_hand + on_order as float) as stock_position,
  cast((on_hand + on_order) / nullif(demand_mean, 0) as float) as cover_periods
from known

-- the share of replenishment cycles (from one arrival to the next) that saw no empty shelf
with events as (
  select item_id, location_id, event_at, 1 as arrivals, 0 as stock_outs
  from {{ ref('int_stock_moved') }}
  where kind in ('receipt', 'arrival')
  union all
  select item_id, location_id, event_at, 0, 1
  from {{ ref('fct_stock') }}
  where is_current and not is_in_stock
),

numbered as (
  select *, sum(arrivals) over (
    partition by item_id, location_id order by event_at, arrivals desc rows between unbounded preceding and current row
  ) as cycle
  from events
),

cycles as (
  select item_id, location_id, cycle, max(stock_outs) as had_stock_out
  from numbered
  where cycle > 0
  group by item_id, location_id, cycle
)

select
  item_id,
  location_id,
  count(*) as cycles,
  count(*) filter (where had_stock_out = 0) as full_cycles,
  count(*) filter (where had_stock_out = 0) / cast(count(*) as double) as cycle_service_level
from cycles
group by item_id, location_id

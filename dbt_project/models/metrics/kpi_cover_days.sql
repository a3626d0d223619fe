-- how many days the stock on hand lasts at the mean daily issues of the last 28 days
with issued as (
  select item_id, location_id, -sum(delta) / 28.0 as daily_issues
  from {{ ref('int_stock_moved') }}
  where kind in ('sale', 'departure', 'return') and {{ in_last_days('event_at', 28) }}
  group by item_id, location_id
)

select
  positions.item_id,
  positions.location_id,
  positions.on_hand,
  cast(coalesce(issued.daily_issues, 0) as double) as daily_issues,
  cast(case when issued.daily_issues > 0 then positions.on_hand / issued.daily_issues end as double) as cover_days
from {{ ref('fct_stock_positions') }} as positions
left join issued on positions.item_id = issued.item_id and positions.location_id = issued.location_id
where positions.stock_known_at is not null

-- What of the last 91 days' sales of an item was for kits that take it, by kit; an item that no kit takes is not here.
with sales as {{ inlined() }} ({{ inherited(ref('int_sales_dated'), ['quantity']) }}),

sold as (
  select item_id, location_id, kit_id, sum(quantity) as quantity, max(known_at) as known_at
  from sales
  where is_current and {{ in_last_days('event_at', 91) }}
  group by item_id, location_id, kit_id
),

shared as (
  select *, quantity / nullif(sum(quantity) over (partition by item_id, location_id), 0) as share from sold
)

select
  item_id, location_id, kit_id, cast(quantity as double) as quantity, cast(share as double) as share, known_at
from shared
where kit_id is not null and quantity > 0

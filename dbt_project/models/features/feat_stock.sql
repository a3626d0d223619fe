-- what was last seen of a stock, one row each time something became known; arrival order lets late and corrected counts tell the truth
with seen as (
  select
    item_id, location_id, known_at,
    max(event_at) over so_far as event_at,
    {{ newest_value('on_hand', together(['event_at', 'known_at'])) }} filter (where on_hand is not null) over so_far as on_hand,
    {{ newest_value('is_in_stock', together(['event_at', 'known_at'])) }} over so_far as is_in_stock,
    max(event_at) filter (where not is_in_stock) over so_far as stock_out_at
  from {{ ref('fct_stock') }}
  window so_far as (
    partition by item_id, location_id order by known_at range between unbounded preceding and current row
  )
  qualify row_number() over (partition by item_id, location_id, known_at order by known_at) = 1
)

select
  item_id,
  location_id,
  event_at,
  known_at,
  cast(on_hand as float) as on_hand,
  is_in_stock,
  cast({{ days_from('stock_out_at', 'event_at') }} / {{ days_a_period() }} as float) as periods_since_stock_out
from seen

-- how long a supplier took over the last year, told anew each day something changed
select
  supplier_id,
  told_at as event_at,
  told_at as known_at,
  cast(lead_time_mean_days as float) as lead_time_mean_days,
  cast(lead_time_p90_days as float) as lead_time_p90_days,
  cast(1 - cast(otif_lines as double) / nullif(due_lines, 0) as float) as late_share,
  open_lines as open_order_count
from {{ ref('int_suppliers_timed') }}
where is_change

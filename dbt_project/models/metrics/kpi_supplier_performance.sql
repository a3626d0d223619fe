-- OTIF and lead time by supplier over the last year, at Now: the sums the features are told from
select
  supplier_id,
  order_lines,
  open_lines,
  due_lines,
  cast(in_full_lines as double) / nullif(due_lines, 0) as in_full_share,
  cast(otif_lines as double) / nullif(due_lines, 0) as otif_share,
  cast(lead_time_mean_days as double) as lead_time_mean_days,
  cast(lead_time_p90_days as double) as lead_time_p90_days
from (
  select *, row_number() over (partition by supplier_id order by told_at desc) as newest
  from {{ ref('int_suppliers_timed') }}
) as told
where newest = 1

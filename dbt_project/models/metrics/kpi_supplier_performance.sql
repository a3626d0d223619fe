-- OTIF and lead time by supplier: lines due by Now that were complete by the end of the day they were promised for
with lines as (
  select
    orders.*,
    due_at is not null and due_at <= {{ now_at() }} as is_due,
    received_at is not null as is_in_full,
    {{ local_day('received_at') }} <= {{ local_day('due_at') }} as is_on_time,
    {{ days_from('ordered_at', 'received_at') }} as lead_days
  from {{ ref('int_orders_received') }} as orders
  where kind = 'purchase' and not is_assumed and from_id is not null and (received_at is null or received_at >= ordered_at)
)

select
  from_id as supplier_id,
  count(*) as order_lines,
  count(*) filter (where not is_in_full) as open_lines,
  count(*) filter (where is_due) as due_lines,
  count(*) filter (where is_due and is_in_full) / cast(nullif(count(*) filter (where is_due), 0) as double) as in_full_share,
  count(*) filter (where is_due and is_on_time) / cast(nullif(count(*) filter (where is_due), 0) as double) as otif_share,
  cast(avg(lead_days) as double) as lead_time_mean_days,
  cast(stddev_samp(lead_days) as double) as lead_time_std_days,
  cast({{ quantile('lead_days', 0.9) }} as double) as lead_time_p90_days
from lines
group by from_id

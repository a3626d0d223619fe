-- OTIF and lead time by supplier: lines whose promised local day is over, and which of them were complete by its end
with lines as (
  select
    from_id,
    coalesce(promised_on < {{ local_day(now_at()) }}, false) as is_due,
    received_at is not null as is_in_full,
    received_on <= promised_on as is_on_time,
    case when not is_censored then actual_days end as lead_days
  from {{ ref('fct_lead_times') }}
  where kind = 'purchase' and from_id is not null
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

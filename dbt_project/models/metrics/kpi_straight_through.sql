{{ config(tags=['decisions']) }}
-- the share of proposed order lines that no exception holds for a person, by plan; a re-run of one as-of counts once
with held as (
  select distinct run_id, item_id, location_id from {{ source('decisions', 'exceptions') }}
),

proposed as (
  select *, dense_rank() over (partition by as_of order by run_id desc) as newest from {{ source('decisions', 'order_lines') }}
)

select
  lines.run_id,
  lines.as_of,
  count(*) as order_lines,
  count(*) filter (where held.run_id is null) as straight_lines,
  count(*) filter (where held.run_id is null) / cast(count(*) as double) as straight_through_share
from proposed as lines
left join held
  on lines.run_id = held.run_id and lines.item_id = held.item_id and lines.location_id = held.location_id
where lines.newest = 1
group by 1, 2

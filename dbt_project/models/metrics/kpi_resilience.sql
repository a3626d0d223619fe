{{ config(tags=['decisions']) }}
-- how well the company takes what may happen: one row a study of scenarios in the twin
select
  run_id as study_id,
  max(as_of) as as_of,
  count(distinct scenario) as scenarios,
  min_by(name, after) filter (where part = 'node') as weakest_node_id,
  min(after) filter (where part = 'node') as least_survival_periods,
  avg(difference) filter (where part = 'total' and name = 'fill_rate') as mean_fill_rate_change,
  min(difference) filter (where part = 'total' and name = 'fill_rate') as worst_fill_rate_change,
  {{ amount("avg(difference) filter (where part = 'total' and name = 'cost')") }} as mean_cost_change,
  {{ amount("max(difference) filter (where part = 'total' and name = 'cost')") }} as worst_cost_change
from {{ source('decisions', 'scenarios') }}
group by run_id

{{ config(tags=['decisions']) }}
-- how well the company takes what may happen: one row a nightly study of a stress set in the twin;
-- what people ask of the twin is no metric. A rival beats the champion where it is cheaper for sure.
with nightly as (
  select * from {{ source('decisions', 'scenarios') }}
  where is_nightly
)
select
  run_id as study_id,
  max(as_of) as as_of,
  count(distinct scenario) as scenarios,
  min_by(name, after) filter (where part = 'node') as weakest_node_id,
  min(after) filter (where part = 'node') as least_survival_periods,
  avg(difference) filter (where part = 'total' and name = 'fill_rate') as mean_fill_rate_change,
  min(difference) filter (where part = 'total' and name = 'fill_rate') as worst_fill_rate_change,
  {{ amount("avg(difference) filter (where part = 'total' and name = 'cost')") }} as mean_cost_change,
  {{ amount("max(difference) filter (where part = 'total' and name = 'cost')") }} as worst_cost_change,
  max(policy) as champion_policy,
  count(distinct case when part = 'policy' then name end) as rival_policies,
  count(distinct case when part = 'policy' and mean_upper < 0 then scenario end) as beaten_scenarios,
  {{ amount("max(case when difference < 0 then -difference else 0 end) filter (where part = 'policy')") }} as most_regret_cost
from nightly
group by run_id

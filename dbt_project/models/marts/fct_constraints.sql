-- the planner's limits, with every version
with things as (
  select name, coalesce(scope, 'all') as scope, value, true as is_declared, known_at, handed_over_at, row_hash
  from {{ ref('stg_constraints') }}
),

{{ history('things', ['name', 'scope'], ['value']) }}

select name, scope, value, known_at, is_current from history

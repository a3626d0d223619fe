-- the planner's limits, with every version; a limit of an alias is one of what it stands for
with stated as (
  select
    *,
    case
      when name in ('capacity', 'truck_kg') then 'location' when name = 'service_level' then 'item' else 'supplier'
    end as of_kind
  from {{ ref('stg_constraints') }}
),

things as (
  select
    stated.name, coalesce(aliases.id, stated.scope, 'all') as scope, stated.value, true as is_declared,
    greatest(stated.known_at, aliases.known_at) as known_at, stated.handed_over_at, stated.row_hash
  from stated
  left join {{ ref('int_aliases_current') }} as aliases on aliases.kind = stated.of_kind and aliases.alias = stated.scope
),

{{ history('things', ['name', 'scope'], ['value']) }}

select name, scope, {{ unit_money('value') }} as value, known_at, is_current from history

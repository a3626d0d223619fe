-- one meaning for each alias: the newest known, followed to its end, and known when the last step is
with recursive ranked as (
  select
    kind, alias, id, known_at,
    row_number() over (partition by kind, alias order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last) as newest
  from {{ ref('stg_aliases') }}
  where is_current and alias <> id
),

steps as (select kind, alias, id, known_at from ranked where newest = 1),

-- a loop has no end: landing's gate refuses it, and its length ends it here
followed as (
  select kind, alias, id, known_at, 1 as depth from steps
  union all
  select followed.kind, followed.alias, steps.id, greatest(followed.known_at, steps.known_at), followed.depth + 1
  from followed
  inner join steps on followed.kind = steps.kind and followed.id = steps.alias
  where followed.depth < 20 and steps.id <> followed.alias
)

select kind, alias, id, known_at
from (select *, row_number() over (partition by kind, alias order by depth desc) as last_step from followed) as ends
where last_step = 1

-- one meaning for each alias: the newest known
with ranked as (
  select
    kind, alias, id, known_at,
    row_number() over (partition by kind, alias order by known_at desc, handed_over_at desc nulls last, row_hash desc nulls last) as newest
  from {{ ref('stg_aliases') }}
  where is_current and alias <> id
)

select kind, alias, id, known_at from ranked where newest = 1

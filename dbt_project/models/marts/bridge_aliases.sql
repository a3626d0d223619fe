-- Which id stands for which: every name other systems use, beside the one id the marts use. A candidate is a pair that looks like one
-- thing (ids or names alike but for case, punctuation and leading zeros) and changes nothing until a person confirms it as an alias.
with things as (
  select 'item' as kind, item_id as id, name, is_declared, valid_from as known_at from {{ ref('dim_items') }} where is_current
  union all
  select 'supplier', supplier_id, name, is_declared, valid_from from {{ ref('dim_suppliers') }} where is_current
),

looks as (
  select kind, id, is_declared, known_at, 'same id' as evidence, {{ normalised('id') }} as look from things
  union all
  select kind, id, is_declared, known_at, 'same name', {{ normalised('name') }} from things where length(name) > 3
),

pairs as (
  select
    kind,
    id as alias,
    first_value(id) over alike as id,
    evidence,
    max(known_at) over (partition by kind, evidence, look) as known_at,
    count(*) over (partition by kind, evidence, look) as found
  from looks
  where look <> ''
  window alike as (partition by kind, evidence, look order by is_declared desc, known_at, id)
),

candidates as (
  select kind, alias, id, evidence, known_at, row_number() over (partition by kind, alias order by evidence, id) as best
  from pairs
  where alias <> id and found <= 5  -- a name that many things bear says nothing
)

select kind, alias, id, 'confirmed' as status, cast(null as string) as evidence, known_at from {{ ref('int_aliases_current') }}
union all
select kind, alias, id, 'candidate', evidence, known_at from candidates where best = 1

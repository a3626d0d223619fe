with source as {{ inlined() }} (
  select * from {{ source('raw', 'constraints') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'constraints') }}),

typed as (
  select
    name,
    value,
    scope,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

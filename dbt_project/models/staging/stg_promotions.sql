with source as {{ inlined() }} (
  select * from {{ source('raw', 'promotions') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'promotions') }}),

typed as (
  select
    name,
    starts_at,
    ends_at,
    kind,
    value,
    item_id,
    location_id,
    region_id,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

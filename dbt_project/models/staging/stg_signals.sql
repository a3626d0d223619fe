with source as {{ inlined() }} (
  select * from {{ source('raw', 'signals') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'signals') }}),

typed as (
  select
    name,
    event_at,
    value,
    region_id,
    location_id,
    item_id,
    target_on,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

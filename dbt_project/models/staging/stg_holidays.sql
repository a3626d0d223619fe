with source as {{ inlined() }} (
  select * from {{ source('raw', 'holidays') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'holidays') }}),

typed as (
  select
    day,
    name,
    region_id,
    upper(trim(country)) as country,
    supplier_id,
    location_id,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

with source as {{ inlined() }} (
  select * from {{ source('raw', 'locations') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'locations') }}),

typed as (
  select
    location_id,
    name,
    address,
    region_id,
    upper(trim(country)) as country,
    lower(trim(kind)) as kind,
    levels,
    supplied_from,
    capacity,
    receiving_days,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

with source as {{ inlined() }} (
  select * from {{ source('raw', 'lanes') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'lanes') }}),

typed as (
  select
    from_id,
    to_id,
    item_id,
    lower(trim(mode)) as mode,
    transit_days,
    freight_per_kg,
    fuel_share,
    distance_km,
    co2_per_tonne_km,
    capacity_kg,
    upper(trim(currency)) as currency,
    departure_days,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

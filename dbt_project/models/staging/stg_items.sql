with source as {{ inlined() }} (
  select * from {{ source('raw', 'items') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'items') }}),

typed as (
  select
    item_id,
    name,
    levels,
    supplier_id,
    nullif(pack_size, 0) as pack_size,
    weight_kg,
    volume_m3,
    unit_cost,
    shelf_life_days,
    holding_cost,
    shortage_cost,
    upper(trim(currency)) as currency,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

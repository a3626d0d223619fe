with source as {{ inlined() }} (
  select * from {{ source('raw', 'suppliers') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'suppliers') }}),

typed as (
  select
    supplier_id,
    name,
    region_id,
    upper(trim(country)) as country,
    payment_days,
    order_days,
    order_until,
    working_days,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

with source as {{ inlined() }} (
  select * from {{ source('raw', 'orders') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'orders') }}),

typed as (
  select
    order_id,
    {{ document_key('order_id') }} as order_key,
    event_at,
    customer_id,
    lower(trim(status)) as status,
    promised_at,
    shipped_at,
    delivered_at,
    location_id,
    supplier_id,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

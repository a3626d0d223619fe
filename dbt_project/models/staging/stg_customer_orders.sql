with source as {{ inlined() }} (
  select * from {{ source('raw', 'customer_orders') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'customer_orders') }}),

typed as (
  select
    order_id,
    item_id,
    location_id,
    quantity,
    event_at,
    line_id,
    due_at,
    delivered_quantity,
    {{ unit_word('unit') }} as unit,
    lower(trim(status)) as status,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

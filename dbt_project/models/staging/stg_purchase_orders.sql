with source as {{ inlined() }} (
  select * from {{ source('raw', 'purchase_orders') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'purchase_orders') }}),

typed as (
  select
    order_id,
    item_id,
    location_id,
    quantity,
    event_at,
    line_id,
    due_at,
    supplier_id,
    unit_cost,
    {{ unit_word('unit') }} as unit,
    status,
    upper(trim(currency)) as currency,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

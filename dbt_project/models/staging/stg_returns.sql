with source as {{ inlined() }} (
  select * from {{ source('raw', 'returns') }}
  where (known_at <= {{ now_at() }} or known_at is null) and {{ is_believed() }}
),

versions as ({{ versions('source', 'returns') }}),

typed as (
  select
    item_id,
    location_id,
    quantity,
    event_at,
    order_id,
    line_id,
    customer_id,
    {{ unit_word('unit') }} as unit,
    unit_price,
    coalesce(revenue, quantity * unit_price) as revenue,
    reason,
    upper(trim(currency)) as currency,
    tax_share,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

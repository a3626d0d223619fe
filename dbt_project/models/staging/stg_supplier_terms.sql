with source as {{ inlined() }} (
  select * from {{ source('raw', 'supplier_terms') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'supplier_terms') }}),

typed as (
  select
    item_id,
    supplier_id,
    lead_time_days,
    moq,
    nullif(order_multiple, 0) as order_multiple,
    from_quantity,
    unit_cost,
    {{ unit_word('unit') }} as unit,
    starts_at,
    upper(trim(currency)) as currency,
    lead_time_working_days,
    shelf_life_days,
    ends_at,
    share,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

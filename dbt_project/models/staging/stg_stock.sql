with source as {{ inlined() }} (
  select * from {{ source('raw', 'stock') }}
  where (known_at <= {{ now_at() }} or known_at is null) and {{ is_believed() }}
),

versions as ({{ versions('source', 'stock') }}),

typed as (
  select
    item_id,
    location_id,
    event_at,
    on_hand,
    is_in_stock,
    unit_cost,
    {{ unit_word('unit') }} as unit,
    upper(trim(currency)) as currency,
    lower(trim(status)) as status,
    bin,
    lot,
    expires_at,
    reserved,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

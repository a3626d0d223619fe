with source as {{ inlined() }} (
  select * from {{ source('raw', 'prices') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'prices') }}),

typed as (
  select
    item_id,
    price,
    event_at,
    period_id,
    location_id,
    list_price,
    upper(trim(currency)) as currency,
    tax_share,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

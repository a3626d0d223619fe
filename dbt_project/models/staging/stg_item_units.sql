with source as {{ inlined() }} (
  select * from {{ source('raw', 'item_units') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'item_units') }}),

typed as (
  select
    item_id,
    {{ unit_word('unit') }} as unit,
    quantity,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

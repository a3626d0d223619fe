with source as {{ inlined() }} (
  select * from {{ source('raw', 'transfers') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'transfers') }}),

typed as (
  select
    transfer_id,
    item_id,
    from_id,
    to_id,
    quantity,
    event_at,
    due_at,
    received_at,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

with source as {{ inlined() }} (
  select * from {{ source('raw', 'bills_of_materials') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'bills_of_materials') }}),

typed as (
  select
    item_id,
    part_id,
    quantity,
    scrap_share,
    starts_at,
    ends_at,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

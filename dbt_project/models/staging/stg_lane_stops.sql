with source as {{ inlined() }} (
  select * from {{ source('raw', 'lane_stops') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'lane_stops') }}),

typed as (
  select
    from_id,
    to_id,
    mode,
    hub_id,
    after_days,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

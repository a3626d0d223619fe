with source as {{ inlined() }} (
  select * from {{ source('raw', 'shipments') }}
  where known_at <= {{ now_at() }} or known_at is null
),

versions as ({{ versions('source', 'shipments') }}),

typed as (
  select
    shipment_id,
    from_id,
    to_id,
    order_id,
    line_id,
    item_id,
    quantity,
    weight_kg,
    lower(trim(mode)) as mode,
    event_at,
    shipped_at,
    promised_at,
    delivered_at,
    freight_cost,
    bills_with,
    upper(trim(currency)) as currency,
    row_key, row_hash, known_at, known_lag, handed_over_at, source_id, delivery, row_no, part, valid_until, is_current
  from versions
)

select * from typed

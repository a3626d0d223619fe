{{ config(materialized='table') }}
-- Lines of sales so far beyond all others of their item and place that a decimal or a unit is wrong: more than 10,000 times the usual
-- quantity or price, or, where fewer than five other lines say what is usual there, a million times the company's. They count nowhere.
{%- set own, company = 10000, 1000000 %}
with lines as {{ inlined() }} (
  select
    item_id, location_id, coalesce(unit, '') as unit, coalesce(currency, '') as currency, quantity, row_key, row_hash,
    revenue / nullif(quantity, 0) as price
  from {{ ref('stg_sales_lines') }}
  where quantity > 0
),

-- one reading of all lines says which of them may be far off; the others are not read again
bounds as (
  select
    item_id, location_id, unit, currency, count(*) as told,
    min(quantity) as least_quantity, max(quantity) as most_quantity,
    min(case when price > 0 then price end) as least_price, max(price) as most_price
  from lines
  group by item_id, location_id, unit, currency
),

spread as (
  select item_id, location_id, unit, currency
  from bounds
  where told > 5 and (most_quantity > {{ own }} * least_quantity or most_price > {{ own }} * least_price)
),

usual as (
  select item_id, location_id, unit, currency, median(quantity) as quantity, median(case when price > 0 then price end) as price
  from lines
  where exists (
    select 1 from spread
    where spread.item_id = lines.item_id and spread.location_id = lines.location_id
      and spread.unit = lines.unit and spread.currency = lines.currency
  )
  group by item_id, location_id, unit, currency
),

wide as (
  select currency
  from bounds
  group by currency
  having max(most_quantity) > {{ company }} * min(least_quantity) or max(most_price) > {{ company }} * min(least_price)
),

anywhere as (
  select currency, median(quantity) as quantity, median(case when price > 0 then price end) as price
  from lines
  where exists (select 1 from wide where wide.currency = lines.currency)
  group by currency
),

scarce as (
  select item_id, location_id
  from bounds
  group by item_id, location_id
  having sum(told) <= 5
),

far as (
  select lines.row_key, lines.row_hash, anywhere.quantity as usual_quantity, anywhere.price as usual_price
  from lines
  inner join anywhere on lines.currency = anywhere.currency
  inner join scarce on lines.item_id = scarce.item_id and lines.location_id = scarce.location_id
  where lines.quantity > {{ company }} * anywhere.quantity or lines.price > {{ company }} * anywhere.price
),

beyond as (
  select lines.row_key, lines.row_hash, usual.quantity as usual_quantity, usual.price as usual_price
  from lines
  inner join usual
    on lines.item_id = usual.item_id and lines.location_id = usual.location_id
    and lines.unit = usual.unit and lines.currency = usual.currency
  where lines.quantity > {{ own }} * usual.quantity or lines.price > {{ own }} * usual.price
  union
  select row_key, row_hash, usual_quantity, usual_price from far
),

-- in most books nothing is, and then no line is read again
told as (
  select facts.*, beyond.usual_quantity, beyond.usual_price
  from ({{ identified(ref('stg_sales'), {'item_id': 'item', 'location_id': 'location'}) }}) as facts
  inner join beyond on facts.row_key = beyond.row_key and facts.row_hash = beyond.row_hash
  where exists (select 1 from beyond)
)

select
  item_id, location_id, quantity, unit, revenue / nullif(quantity, 0) as price, usual_quantity, usual_price, event_at, known_at, valid_until,
  is_current, row_key, row_hash, source_id, delivery, row_no, part
from told

{{ config(materialized='table') }}
-- every local day from the first day of the period of the first fact to two years after Now, and the planning period it belongs to
with facts as (
  select min(event_at) as first_at from {{ ref('int_sales_dated') }}
  union all select min(event_at) from {{ ref('stg_returns') }}
  union all select min(event_at) from {{ ref('stg_stock') }}
  union all select min(event_at) from {{ ref('int_purchases_headed') }}
  union all select min(event_at) from {{ ref('stg_receipts') }}
  union all select min(event_at) from {{ ref('stg_transfers') }}
  union all select {{ now_at() }}
),

covered as (
  select {{ period_start('day') }} as first_day, {{ local_day(now_at()) }} + 731 as last_day
  from (select {{ local_day('min(first_at)') }} as day from facts) as first_fact
),

days as ({{ days_between('(select first_day from covered)', '(select last_day from covered)') }}),

periods as (select day, {{ period_start('day') }} as period_start from days)

select
  day,
  period_start,
  {{ midnight_of('day') }} as day_starts_at,
  {{ midnight_of('day + 1') }} as day_ends_at,
  {{ midnight_of(next_period('period_start')) }} as period_ends_at,
  dense_rank() over (order by period_start) - 1 as period_rank
from periods

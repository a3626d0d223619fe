with source as (select * from {{ source('raw', 'world') }}),

typed as (
  select
    {{ all_but(['timezone', 'grain', 'week_starts_on', 'is_whole_units']) }},
    coalesce(timezone, 'UTC') as timezone,
    lower(grain) as grain,
    coalesce(week_starts_on, 1) as week_starts_on,
    coalesce(is_whole_units, true) as is_whole_units
  from source
)

select * from typed

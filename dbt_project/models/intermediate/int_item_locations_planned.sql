{{ config(materialized='table') }}
-- What is planned at Now: the assortment, or all that ever sold where none is declared, every location upstream of it, and where goods are
-- bought in, the parts of what is made of them. A part that does not sell where it is taken is planned as in a distribution centre. Where a
-- place that supplies others sells as well, is_forecast says of which items.
{%- set echelons = 4 %}
with recursive locations as (
  select location_id, kind, case when supplied_from <> location_id then supplied_from end as supplied_from
  from {{ ref('dim_locations') }}
  where is_current
),

series as (
  select item_id, location_id, is_sold
  from {{ ref('int_series_started') }}
  where (is_declared or not exists (select 1 from {{ ref('stg_assortment') }}))
    and (last_day is null or last_day >= {{ local_day(now_at()) }})
),

echelon_0 as (select item_id, location_id from series),
{% for echelon in range(1, echelons) %}
echelon_{{ echelon }} as (
  select distinct below.item_id, locations.supplied_from as location_id
  from echelon_{{ echelon - 1 }} as below
  inner join locations on below.location_id = locations.location_id
  where locations.supplied_from is not null
),
{% endfor %}
listed as (
  {% for echelon in range(echelons) %}
  select item_id, location_id from echelon_{{ echelon }}
  {% if not loop.last %}union{% endif %}
  {% endfor %}
),

-- a loop has no end: landing's gate refuses it, and its length ends it here
planned as (
  select item_id, location_id, false as is_part, 1 as depth from listed
  union all
  select distinct bills.part_id, planned.location_id, true, planned.depth + 1
  from planned
  inner join {{ ref('dim_bills_of_materials') }} as bills on planned.item_id = bills.item_id
  left join locations on planned.location_id = locations.location_id
  where locations.supplied_from is null and planned.depth < 20
),

placed as (
  select
    planned.item_id,
    planned.location_id,
    case
      when locations.kind = 'distribution_centre'
        or planned.location_id in (select supplied_from from locations where supplied_from is not null)
        or bool_and(planned.is_part)
        then 'distribution_centre'
      else 'store'
    end as role,
    locations.supplied_from
  from planned
  left join locations on planned.location_id = locations.location_id
  group by planned.item_id, planned.location_id, locations.kind, locations.supplied_from
)

select
  placed.item_id,
  placed.location_id,
  placed.role,
  placed.role = 'store' or coalesce(series.is_sold, false) as is_forecast,
  placed.supplied_from
from placed
left join series on placed.item_id = series.item_id and placed.location_id = series.location_id

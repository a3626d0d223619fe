-- days on which nothing is ordered, made, sent or taken in: of one supplier, place, region or country (of a region of a
-- country, where both are said), else of all
with stated as (
  {{ identified(ref('stg_holidays'), {'supplier_id': 'supplier', 'location_id': 'location'}) }}
)

select day, max(name) as name, country, region_id, supplier_id, location_id, min(known_at) as known_at
from stated
where is_current
group by day, country, region_id, supplier_id, location_id

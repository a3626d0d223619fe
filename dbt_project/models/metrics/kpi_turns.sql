-- how often a year the stock of a place is sold or shipped on, over the last 52 weeks, in units: the same as at cost for one item
select
  item_id,
  location_id,
  cast(sum(issued_quantity) as double) as issued_quantity,
  cast(sum(stock_days) as double) as stock_days,
  cast({{ a_year_over_stock('sum(issued_quantity)', 'sum(stock_days)') }} as double) as turns
from {{ ref('kpi_weekly') }}
where {{ in_last_year('week_start') }} and stock_days is not null
group by item_id, location_id

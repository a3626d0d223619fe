-- What has taken an item's place at Now: its demand, its stock and what is on its way count for the successor, in its share.
select
  item_id,
  successor_id,
  cast(sum(share) as double) as share,
  {{ local_day('min(starts_at)') }} as starts_on,
  max(known_at) as known_at
from {{ ref('int_supersession_chains_followed') }}
group by item_id, successor_id

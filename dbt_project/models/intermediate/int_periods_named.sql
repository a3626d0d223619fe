-- the periods other systems number: when each begins
select period_id, {{ midnight_of('min(day)') }} as event_at, min(known_at) as known_at
from {{ ref('stg_calendar') }}
where is_current
group by period_id

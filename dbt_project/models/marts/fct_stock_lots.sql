-- what was counted bin by bin and lot by lot, where a world tells them apart, and whether it can be sold
with packs as ({{ packs() }}),

stated as ({{ stock_stated(ref('stg_stock')) }})

select
  stated.item_id,
  stated.location_id,
  stated.bin,
  stated.lot,
  stated.status,
  {{ is_unavailable('stated.status') }} as is_blocked,
  {{ local_day('stated.expires_at') }} as expires_on,
  cast(stated.on_hand * {{ units_held('stated') }} as double) as on_hand,
  cast({{ available('stated') }} * {{ units_held('stated') }} as double) as available,
  stated.event_at,
  greatest(stated.known_at, packs.known_at) as known_at,
  stated.is_current
from stated
{{ join_packs('stated') }}
where stated.on_hand is not null and {{ units_held('stated') }} is not null and coalesce(stated.bin, stated.lot, stated.status, cast(stated.expires_at as string)) is not null

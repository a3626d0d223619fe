-- How long each order line took, promised and real, in local days: a promise is for a day and holds to its end. A line still open is a
-- lower bound. Refused and closed lines (nothing is to come), lines overdue beyond belief and receipts before their order are left out.
-- So are purchases that came when nobody waited for them any more, as long as they are a supplier's only ones or fewer than one in ten: the
-- day of one of those is as likely wrong. What was sent back later had come all the same.
with lines as (
  select
    order_id, line_id, kind, item_id, location_id, from_id, ordered_at, due_at, known_at, came_at as received_at,
    {{ local_day('ordered_at') }} as ordered_on,
    {{ local_day('due_at') }} as promised_on,
    {{ local_day('came_at') }} as received_on,
    kind = 'purchase' and coalesce(came_at > {{ given_up_at('ordered_at', 'due_at') }}, false) as is_far
  from (select *, coalesce(received_at, arrived_at) as came_at from {{ ref('int_orders_received') }}) as seen
  where not is_assumed and quantity > 0 and (closed_at is null or came_at is not null) and (came_at is null or came_at >= ordered_at)
),

-- told order by order, so that what is known later changes nothing of what was known before
told as (
  select
    kind, from_id, order_id,
    sum(is_far_one) over so_far as far_orders,
    count(*) over so_far as orders
  from (
    select kind, from_id, order_id, max(case when is_far then 1 else 0 end) as is_far_one, max(known_at) as known_at
    from lines
    where received_at is not null
    group by kind, from_id, order_id
  ) as received
  window so_far as (partition by kind, from_id order by known_at, order_id rows between unbounded preceding and current row)
)

select
  order_id,
  line_id,
  kind,
  item_id,
  location_id,
  from_id,
  ordered_at,
  due_at as promised_at,
  received_at,
  ordered_on,
  promised_on,
  received_on,
  cast({{ days_apart('ordered_on', 'promised_on') }} as double) as promised_days,
  cast({{ days_apart('ordered_on', 'coalesce(received_on, ' ~ local_day(now_at()) ~ ')') }} as double) as actual_days,
  received_at is null as is_censored,
  known_at
from lines
where not is_far
  or exists (
    select 1 from told
    where told.kind = lines.kind and told.order_id = lines.order_id and coalesce(told.from_id, '') = coalesce(lines.from_id, '')
      and told.far_orders > 1 and told.far_orders * 10 >= told.orders
  )

-- From whom each item is bought now, and on what terms: the item's own supplier, else the cheapest with terms, else whoever it was last
-- bought from, else the implicit one. Of equal prices, and where no terms say one, whoever it was last bought from comes first. Where
-- suppliers have agreed shares, it is the one with what they leave; the one with the largest where they leave nothing.
with stated as (
  select
    *,
    row_number() over (partition by item_id, supplier_id order by from_quantity) as tier,
    max(share) over (partition by item_id, supplier_id) as agreed
  from {{ ref('dim_supplier_terms') }}
  where is_current
),

terms as (
  select *, sum(agreed) over (partition by item_id) >= 0.999999 as is_all_agreed
  from stated
  where tier = 1
),

-- an order that holds says more than one that was cancelled, and an order more than a receipt
bought as (
  select item_id, supplier_id
  from (
    select
      item_id, supplier_id,
      row_number() over (
        partition by item_id order by is_over, is_order desc, bought_at desc, known_at desc, supplier_id
      ) as newest
    from (
      select item_id, from_id as supplier_id, ordered_at as bought_at, known_at, is_over, true as is_order
      from {{ ref('int_orders_placed') }}
      where kind = 'purchase' and quantity > 0 and from_id <> '{{ var("implicit_supplier") }}'
      union all
      select item_id, supplier_id, event_at, known_at, false, false
      from {{ ref('int_receipts_stated') }}
      where is_current and quantity > 0 and supplier_id is not null
    ) as rows_of
  ) as ranked_rows
  where newest = 1
),

ranked as (
  select
    items.item_id,
    coalesce(terms.supplier_id, items.supplier_id, bought.supplier_id, '{{ var("implicit_supplier") }}') as supplier_id,
    terms.lead_time_days,
    terms.lead_time_working_days,
    terms.moq,
    terms.order_multiple,
    terms.unit_cost,
    terms.supplier_id is not null as has_terms,
    items.known_at,
    row_number() over (
      partition by items.item_id
      order by
        case when terms.is_all_agreed then terms.agreed else case when terms.agreed is null then 1 end end desc nulls last,
        coalesce(terms.supplier_id = items.supplier_id, false) desc, terms.unit_cost nulls last,
        coalesce(terms.supplier_id = bought.supplier_id, false) desc,
        terms.lead_time_days nulls last, terms.supplier_id
    ) as preference
  from {{ ref('dim_items') }} as items
  left join terms
    on items.item_id = terms.item_id
    and (items.supplier_id is null or items.supplier_id = terms.supplier_id or terms.is_all_agreed)
  left join bought on items.item_id = bought.item_id
  where items.is_current
)

select item_id, supplier_id, lead_time_days, lead_time_working_days, moq, order_multiple, unit_cost, has_terms, known_at
from ranked
where preference = 1

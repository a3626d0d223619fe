-- from whom each item is bought now, and on what terms: the item's own supplier, else the cheapest with terms, else the implicit one
with terms as (
  select
    *,
    row_number() over (partition by item_id, supplier_id order by from_quantity) as tier
  from {{ ref('dim_supplier_terms') }}
  where is_current
),

ranked as (
  select
    items.item_id,
    coalesce(terms.supplier_id, items.supplier_id, '{{ var("implicit_supplier") }}') as supplier_id,
    terms.lead_time_days,
    terms.lead_time_working_days,
    terms.moq,
    terms.order_multiple,
    terms.unit_cost,
    terms.supplier_id is not null as has_terms,
    items.known_at,
    row_number() over (
      partition by items.item_id
      order by coalesce(terms.supplier_id = items.supplier_id, false) desc, terms.unit_cost nulls last, terms.supplier_id
    ) as preference
  from {{ ref('dim_items') }} as items
  left join terms
    on items.item_id = terms.item_id and terms.tier = 1
    and (items.supplier_id is null or items.supplier_id = terms.supplier_id)
  where items.is_current
)

select item_id, supplier_id, lead_time_days, lead_time_working_days, moq, order_multiple, unit_cost, has_terms, known_at
from ranked
where preference = 1

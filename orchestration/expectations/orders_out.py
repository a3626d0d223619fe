"""The gate before anything irreversible: what must be true of order lines before they leave the
house."""

from __future__ import annotations

from orchestration.expectations.laws import Gate, Law

TABLE = "decisions.order_lines"
#: In what lots an item reaches a place: as it usually does, or from another supplier with terms.
TERMS = """
    select item_id, location_id, from_id, moq, order_multiple from marts.dim_item_locations
    union all
    select place.item_id, place.location_id, other.supplier_id, coalesce(max(other.moq), 0),
      coalesce(max(other.order_multiple), place.order_multiple)
    from marts.dim_item_locations as place join marts.dim_supplier_terms as other
      on other.item_id = place.item_id and other.is_current and other.supplier_id <> place.from_id
    where place.kind = 'purchase' group by place.item_id, place.location_id, other.supplier_id,
        place.order_multiple
"""
LINE = "order_line_id, kind, item_id, location_id, from_id, quantity"


def _law(name: str, condition: str, description: str, extra: str = "") -> Law:
    return Law(
        f"order_{name}",
        TABLE,
        f"select {LINE}{extra} from {{batch}} as line where {condition}",
        description,
    )


def _against_terms(name: str, condition: str, description: str) -> Law:
    return Law(
        f"order_{name}",
        TABLE,
        f"""
        select {", ".join(f"line.{column.strip()}" for column in LINE.split(","))}, terms.moq,
            terms.order_multiple
        from {{batch}} as line left join ({TERMS}) as terms
          on terms.item_id = line.item_id and terms.location_id = line.location_id
          and terms.from_id = case when line.kind = 'purchase' then line.from_id
              else terms.from_id end
        where {condition}
        """,
        description,
    )


ORDERS_OUT = Gate(
    "orders_out",
    (
        _law(
            "lines_are_complete",
            "order_line_id is null or intent_key is null or item_id is null or location_id is null "
            "or from_id is null "
            "or due_on is null or kind is null or kind not in ('purchase', 'transfer')",
            (
                "Every line says what, from where, to where, by when, and whether it is bought or "
                "moved."
            ),
            ", due_on",
        ),
        _law(
            "quantity_is_positive",
            "(quantity > 0 and isfinite(quantity)) is not true",
            "Every quantity is a positive number.",
        ),
        _against_terms(
            "quantity_meets_the_minimum",
            "line.quantity < terms.moq - 1e-6",
            "No line is below the supplier's minimum order quantity.",
        ),
        _against_terms(
            "quantity_is_a_multiple",
            (
                "terms.order_multiple > 0 and abs(line.quantity / terms.order_multiple - "
                "round(line.quantity / terms.order_multiple)) > 1e-6"
            ),
            "Every quantity is a whole number of the supplier's order multiple.",
        ),
        _against_terms(
            "item_is_planned_there",
            "terms.item_id is null",
            (
                "Only an item that is planned at a location is ordered for it, and bought only "
                "from "
                "whom we have terms."
            ),
        ),
        _law(
            "supplier_is_known",
            (
                "kind = 'purchase' and from_id not in (select supplier_id from marts.dim_suppliers "
                "where supplier_id is not null)"
            ),
            "Every purchase goes to a supplier we know.",
        ),
        _law(
            "locations_are_known",
            "location_id not in (select location_id from marts.dim_locations where location_id is "
            "not null) or "
            "(kind = 'transfer' and from_id not in (select location_id from marts.dim_locations "
            "where location_id is not null)) "
            "or (kind = 'transfer' and from_id = location_id)",
            "Goods go to a location we know, and a transfer comes from another one.",
        ),
        Law(
            "order_intent_is_unique",
            TABLE,
            """select intent_key, count(*) as lines, string_agg(order_line_id,
                ', ') as order_line_ids
            from {batch} group by run_id, intent_key having count(*) > 1""",
            "One need is one line: no intent key appears twice in a run.",
        ),
        Law(
            "order_line_is_unique",
            TABLE,
            (
                "select order_line_id, count(*) as lines from {batch} group by run_id, "
                "order_line_id "
                "having count(*) > 1"
            ),
            "An order line id names one line of a run.",
        ),
        _law(
            "is_due_after_it_is_decided",
            "due_on < timezone(coalesce((select timezone from raw.world), 'UTC'), "
            "timezone('UTC', as_of))::date",
            "No line is due before it was decided.",
            ", as_of, due_on",
        ),
        _law(
            "value_adds_up",
            "(abs(value - quantity * unit_cost) <= 0.005 + 1e-6 * abs(value)) is not true",
            "Value = quantity × unit cost.",
            ", unit_cost, value",
        ),
        Law(
            "order_explanation_adds_up",
            TABLE,
            """
            select line.order_line_id, line.quantity, sum(part.quantity) as explained
            from {batch} as line left join decisions.explanations as part
              on part.run_id = line.run_id and part.order_line_id = line.order_line_id
            group by line.run_id, line.order_line_id, line.quantity
            having (abs(sum(part.quantity) - line.quantity) <= 1e-6 * greatest(1,
                abs(line.quantity))) is not true
            """,
            "The parts of every explanation add up to the quantity ordered.",
        ),
        Law(
            "order_value_is_in_budget",
            TABLE,
            """
            with budget as (
                select coalesce(scope, '') as scope, value as allowed
                from marts.fct_constraints where starts_with(name, 'budget') and is_current
            )
            select line.run_id, budget.scope, budget.allowed, sum(line.value) as spent
            from {batch} as line, budget
            where line.kind = 'purchase' and budget.scope in ('', 'all', 'purchase', line.from_id,
                line.location_id, line.item_id)
            group by all having sum(line.value) > budget.allowed * (1 + 1e-9)
            """,
            "The purchases of a run stay within every budget that covers them.",
        ),
        Law(
            "order_quantity_is_usual",
            TABLE,
            """
            select line.order_line_id, line.item_id, line.location_id, line.quantity,
                sum(demand.quantity) as demand_of_a_year
            from {batch} as line
            -- a part sells by what is made of it
            anti join marts.dim_bills_of_materials as bill on bill.part_id = line.item_id
            join marts.dim_item_locations as place on place.item_id = line.item_id
                and place.location_id = line.location_id
            join marts.fct_demand as demand on demand.item_id = line.item_id and demand.is_current
              and (place.role = 'distribution_centre' or demand.location_id = line.location_id)
              and demand.period_start >= line.as_of::date - 364
                  and demand.period_start < line.as_of::date
            group by all having line.quantity > sum(demand.quantity)
            """,
            (
                "No line orders more than the item's whole last year of demand, there or where a "
                "warehouse sends it."
            ),
            "warning",
        ),
        Law(
            "order_lines_are_as_many_as_usual",
            TABLE,
            """
            with runs as (select run_id, as_of, count(*) as lines from decisions.order_lines
                group by all),
            usual as (select batch_run.run_id, median(runs.lines) as usual, count(*) as seen
                from (select distinct run_id, as_of from {batch}) as batch_run join runs
                    on runs.as_of < batch_run.as_of
                group by all)
            select runs.run_id, runs.lines, usual.usual from usual join runs using (run_id)
            where seen >= 4 and (runs.lines > 3 * usual.usual or 3 * runs.lines < usual.usual)
            """,
            "A run proposes about as many lines as the runs before it.",
            "warning",
        ),
    ),
    run_only=(TABLE,),
)

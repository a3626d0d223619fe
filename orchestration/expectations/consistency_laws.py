"""Words, dates and measures by which two rows contradict each other, or that a plan would pass over
as if nobody had said them: each is told with its rows."""

from __future__ import annotations

from collections.abc import Iterator

from models.procurement.unit_codes import BASE
from orchestration.expectations.laws import Law
from orchestration.expectations.unit_words import unit_word

#: What an alias may be of: the kinds of ids that other systems call otherwise.
ALIASED = ("item", "location", "supplier")
#: How the status of a line begins that nothing more comes of; as in
#: dbt_project/macros/documents.sql, where it is closed.
CALLED_OFF = (
    "cancel|void|annul|anul|storn|reject|declin|refus|delet|withdrawn",
    "short|closed|complete|done|finish|fully|final|received|delivered|geschlossen|erledigt",
)
#: How that of a line begins that is waited for.
WAITED_FOR = (
    "open|new|plac|sent|send|creat|enter|draft|plan|await|wait|pend|in[ _]?progress|progress",
    "in[ _]?process|process|approv|accept|acknowledg|confirm|order|releas|active|on hold|hold",
    "part|back ?order|ship|dispatch|in transit|transit|on the way|en route|in delivery|unterwegs",
    "outstanding|overdue|late|not received",
    "invoic|bill|paid|pick|pack|ready|reserv|unavailable|offen|neu|best|freigegeben|versandt|teil",
)
#: Tables of lines whose status says whether more comes.
IN_STATUS = ("orders", "purchase_orders", "customer_orders")
#: Facts beside the clock's own, whose dates nothing else holds against Now.
DATED = (
    "purchase_orders",
    "receipts",
    "shipments",
    "transfers",
    "adjustments",
    "customer_orders",
    "prices",
)
#: Of two days, the one that cannot be the earlier, by table: what was ordered is due later.
IN_TURN = {
    "purchase_orders": (("event_at", "due_at"),),
    "customer_orders": (("event_at", "due_at"),),
    "transfers": (("event_at", "due_at"), ("event_at", "received_at")),
    "shipments": (("shipped_at", "delivered_at"),),
    "orders": (("event_at", "promised_at"), ("event_at", "delivered_at")),
}
#: By which columns a document's row is told from others, where its number is all that tells it.
NUMBERED = {
    "orders": ("order_id",),
    "purchase_orders": ("order_id", "line_id"),
    "customer_orders": ("order_id", "line_id"),
    "transfers": ("transfer_id",),
    "receipts": ("row_key",),
    "shipments": ("row_key",),
}
#: Two rows of one document are of the same half year: between them, its numbers began anew.
RESTARTED = "interval 183 day"
#: A fact may be known so long after Now that it is no system that is a little ahead, and be so old
#: that its year was mistyped.
AHEAD, AGO = "interval 31 day", "interval 30 year"


def contradiction_laws() -> Iterator[Law]:
    """The laws of words nobody reads, of dates that cannot be, and of one item in two measures."""
    yield _aliases_of_a_kind()
    for table in IN_STATUS:
        yield _statuses(table)
    for table in DATED:
        yield _dated(table)
    for table, pairs in IN_TURN.items():
        yield _in_turn(table, pairs)
    for table, number in NUMBERED.items():
        yield _numbered(table, number)
    yield _one_measure()
    yield _holidays_of_somebody()


def _aliases_of_a_kind() -> Law:
    kinds = ", ".join(f"('{kind}')" for kind in ALIASED)
    return Law(
        "aliases_are_of_a_kind_somebody_reads",
        "raw.aliases",
        f"""
        with kinds(word) as (values {kinds})
        select kind, count(*) as rows_found, min(alias) as such_as, min(source_id) as source_id,
            (select max_by(word, jaro_winkler_similarity(word, lower(trim(kind)))) from kinds)
                as nearest
        from {{batch}} where lower(trim(kind)) not in (select word from kinds) group by kind
        """,
        f"The kind of every alias is one of {', '.join(ALIASED)}: one of another kind would stand "
        "for nothing. Write that word, or map it in the contract: `kind: \"'item'\"`.",
    )


def _statuses(table: str) -> Law:
    known = "|".join((*CALLED_OFF, *WAITED_FOR))
    return Law(
        f"{table}_have_a_status_somebody_reads",
        f"raw.{table}",
        f"""
        select status, count(*) as rows_found, min(order_id) as such_as, min(source_id) as source_id
        from {{batch}}
        where status is not null and trim(status) <> ''
            and not regexp_matches(lower(trim(status)), '^({known})')
        group by status
        """,
        f"The status of {table} begins like open, confirmed, shipped or partly delivered, or like "
        "closed, received or cancelled. A line with another word is waited for: translate it in "
        "the contract.",
        "warning",
    )


def _dated(table: str) -> Law:
    return Law(
        f"{table}_are_of_this_time",
        f"raw.{table}",
        f"""
        select source_id, row_no, event_at, known_at, world.newest_at as believed_until
        from {{batch}}, (select now_at, newest_at from raw.world) as world
        where known_at > greatest(newest_at, now_at) + {AHEAD} or event_at < newest_at - {AGO}
        """,
        f"No row of {table} lies a month after all that the company sold and counted, where nobody "
        "reads it until that day comes, nor a generation before: its year may be mistyped.",
        "warning",
    )


def _in_turn(table: str, pairs: tuple[tuple[str, str], ...]) -> Law:
    # a day without an hour, and one of another zone, may be of the same day
    broken = " or ".join(f"{late} < {early} - interval 1 day" for early, late in pairs)
    columns = ", ".join(dict.fromkeys(name for pair in pairs for name in pair))
    said = ", nor ".join(f"{late} before {early}" for early, late in pairs)
    return Law(
        f"{table}_happen_in_turn",
        f"raw.{table}",
        f"select source_id, row_no, {columns} from {{batch}} where {broken}",
        f"Nothing in {table} has its {said}: one of the two dates was read or typed as another.",
        "warning",
    )


def _numbered(table: str, number: tuple[str, ...]) -> Law:
    by = ", ".join(("source_id", *number))
    return Law(
        f"{table}_have_a_number_of_their_own",
        f"raw.{table}",
        f"""
        select {by}, count(*) as rows_found, min(row_no) as first_row, min(event_at) as first_at,
            max(event_at) as last_at
        from {{batch}} where source_id <> 'ledger' group by {by}
        having max(event_at) > min(event_at) + {RESTARTED}
        """,
        f"No number of {table} comes again half a year later: the later counts as a version of the "
        "earlier. Where numbers begin anew each year, make the year part of them in the contract, "
        "here and wherever they are named: `order_id: \"number || '/' || year(day)\"`.",
        "warning",
    )


def _one_measure() -> Law:
    words = ", ".join(f"'{unit}'" for unit in BASE)
    said = " union all ".join(
        f"select item_id, {unit_word('unit')} as measure, unit, '{table}' as told_in from "
        + ("(select * from {batch}) as here" if table == "stock" else f"raw.{table}")
        + " where unit is not null"
        for table in ("stock", "sales", "purchase_orders", "receipts", "supplier_terms")
    )
    return Law(
        "stock_and_orders_of_each_item_are_in_one_measure",
        "raw.stock",
        f"""
        with said as (
            select distinct item_id, measure, lower(trim(unit)) as unit, told_in
            from ({said}) as told where measure in ({words})
            and not exists (select 1 from raw.item_units as known
                where known.item_id = told.item_id and {unit_word("known.unit")} = measure)
        )
        select item_id, string_agg(distinct unit || ' (' || told_in || ')', ', ') as units
        from said group by item_id having count(distinct measure) > 1
        """,
        "Each item is counted in one measure: of two, such as kg and g, both would count as one "
        "unit. Say in item_units what one holds of the other.",
        "warning",
    )


def _holidays_of_somebody() -> Law:
    known = {
        name: " union ".join(
            f"select upper(trim({name})) from raw.{table} where {name} is not null"
            for table in tables
        )
        for name, tables in (
            ("country", ("suppliers", "locations")),
            ("region_id", ("suppliers", "locations")),
            ("supplier_id", ("suppliers", "items", "supplier_terms", "purchase_orders")),
            ("location_id", ("locations", "stock", "sales", "purchase_orders")),
        )
    }
    alien = " or ".join(
        # null is in no empty set
        f"{name} is not null and upper(trim({name})) not in ({ids} union "
        "select upper(trim(alias)) from raw.aliases where alias is not null)"
        for name, ids in known.items()
    )
    return Law(
        "holidays_are_of_somebody_known",
        "raw.holidays",
        f"""
        select country, region_id, supplier_id, location_id, count(*) as rows_found, min(day) as
            first_day, min(source_id) as source_id
        from {{batch}} where {alien} group by all
        """,
        "The country and region of every holiday are some supplier's or location's, and its "
        "supplier or location is known: another day would close nobody.",
        "warning",
    )

"""The gate behind the front door: what must be true of raw rows before the warehouse believes
them."""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.expectations.consistency_laws import contradiction_laws
from orchestration.expectations.laws import Gate, Law
from orchestration.expectations.limit_unit_grain_laws import words_laws
from orchestration.expectations.money_calendar_status_laws import trading_laws
from orchestration.home.sql import document_key
from orchestration.landing.contract.canonical import CANONICAL, LINEAGE, NUMBER, Table
from orchestration.landing.load.rule_sql import NOT_NEGATIVE, TAKES_BACK

#: Differences and readings may be negative; the door refuses NOT_NEGATIVE ones; any other amount
#: below zero deserves a look.
SIGNED = {
    ("adjustments", "delta"),
    ("signals", "value"),
    ("constraints", "value"),
    ("promotions", "value"),
}
#: Tables that should keep arriving, and so have a rhythm and a volume of their own.
FLOWS = ("sales", "returns", "stock", "purchase_orders", "receipts", "shipments", "transfers")

#: Tables by which a company's Now is read.
CLOCKED = ("sales", "returns", "stock")

#: `volume` flags a window of 28 days that is this many times below or above the middle of the
#: windows before it.
UNUSUAL_VOLUME = 3.0
#: `fresh` flags a source that has been silent for this many times its own usual pause (and at least
#: a week).
UNUSUAL_PAUSE = 3.0


def _any(conditions: list[str]) -> str:
    return " or ".join(conditions) or "false"


def _rows(table: Table, *columns: str) -> str:
    """The columns that tell a person which row it is: where it came from, what it must have, and
    what is wrong."""
    lineage = [name for name in LINEAGE if name not in ("known_lag", "row_key", "row_hash")]
    return ", ".join(
        dict.fromkeys(("source_id", "part", "row_no", *table.required, *columns, *lineage))
    )


def _laws_of(name: str, table: Table) -> Iterator[Law]:
    target = f"raw.{name}"
    missing = [f"{column} is null" for column in table.required]
    missing += [
        "(" + " and ".join(f"{column} is null" for column in group) + ")" for group in table.one_of
    ]
    choices = [column for group in table.one_of for column in group]
    yield Law(
        f"{name}_required_values_are_given",
        target,
        (
            f"select {_rows(table, *choices)} from {{batch}} where "
            f"{_any([*missing, '(known_at is null and known_lag is null)'])}"
        ),
        f"Every row of {name} names {', '.join(table.required)}, and when it was known.",
    )
    yield Law(
        f"{name}_lead_back_to_a_delivery",
        target,
        f"select {_rows(table)} from {{batch}} where source_id is null or row_no is null or row_no "
        "< 1 "
        "or delivery is null or delivery not in (select delivery from raw.manifest where delivery "
        "is not null)",
        f"Every row of {name} leads back to a delivery in the manifest, and to a line in it.",
    )
    yield from _laws_of_numbers(name, table)
    if table.is_observed and "event_at" in table.columns:
        yield Law(
            f"{name}_known_no_sooner_than_they_happen",
            target,
            f"select {_rows(table, 'event_at')} from {{batch}} where known_at < event_at",
            (
                f"Nothing in {name} is known before it happens; where a clerk's dates say so, "
                "readers "
                "wait for the later of the two."
            ),
            "warning",
        )


def _laws_of_numbers(name: str, table: Table) -> Iterator[Law]:
    target = f"raw.{name}"
    numbers = [column for column, kind in table.columns.items() if kind == NUMBER]
    counts = [
        column for column in numbers if column in NOT_NEGATIVE and (name, column) not in TAKES_BACK
    ]
    amounts = [
        column for column in numbers if column not in NOT_NEGATIVE and (name, column) not in SIGNED
    ]
    if numbers:
        broken = [f"not isfinite({column})" for column in numbers] + [
            f"{column} < 0" for column in counts
        ]
        yield Law(
            f"{name}_numbers_are_possible",
            target,
            f"select {_rows(table, *numbers)} from {{batch}} where {_any(broken)}",
            f"Numbers in {name} are finite"
            + (f", and {', '.join(counts)} not negative." if counts else "."),
        )
    if amounts:
        yield Law(
            f"{name}_amounts_are_not_negative",
            target,
            (
                f"select {_rows(table, *amounts)} from {{batch}} where "
                f"{_any([f'{column} < 0' for column in amounts])}"
            ),
            f"Amounts in {name} are not negative: {', '.join(amounts)}.",
            "warning",
        )


def _of_the_clock(name: str) -> Law:
    """Rows by whose time Now would jump, or history begin, without anything beside them."""
    return Law(
        f"{name}_are_of_this_time",
        f"raw.{name}",
        f"""
        select {_rows(CANONICAL[name], "event_at")}, world.newest_at as believed_until,
            world.begins_at as believed_from
        from {{batch}}, (select now_at, newest_at, begins_at from raw.world) as world
        where known_at > greatest(newest_at, now_at) or event_at < begins_at
        """,
        f"No row of {name} lies years or a long pause from all others: such rows are held, and Now "
        "does not follow them. Mend the file, or "
        "say `--as-of DATE` if the pause is real.",
        "warning",
    )


def _usual(name: str) -> Iterator[Law]:
    """Volume and freshness against the table's own history; both need a history to speak, so a
    young source is never flagged."""
    moment = "coalesce(event_at, known_at)" if "event_at" in CANONICAL[name].columns else "known_at"
    yield Law(
        f"{name}_volume_is_usual",
        f"raw.{name}",
        f"""
        with windows as (
            select source_id, (date_diff('day', {moment}, world.now_at) // 28) as age,
                count(*) as found
            from {{batch}} as facts, raw.world as world
            where {moment} < world.now_at group by all
        ),
        usual as (select source_id, median(found) as middle, count(*) as seen from windows
            where age > 0 group by source_id)
        select usual.source_id, coalesce(found, 0) as rows_in_last_28_days, middle as usual_rows
        from usual left join windows on windows.source_id = usual.source_id and age = 0
        where seen >= 4 and (coalesce(found, 0) * {UNUSUAL_VOLUME} < middle
            or found > middle * {UNUSUAL_VOLUME})
        """,
        (
            f"The last 28 days brought as many {name} as usual from each source, within a factor "
            "of "
            f"{UNUSUAL_VOLUME:g}."
        ),
        "warning",
    )
    yield Law(
        f"{name}_are_fresh",
        f"raw.{name}",
        f"""
        with arrivals as (select distinct source_id, known_at::date as day from {{batch}}
            where known_at is not null),
        pauses as (select source_id, day, day - lag(day) over (partition by source_id
            order by day) as pause from arrivals),
        usual as (select source_id, max(day) as newest, median(pause) as usual_pause from pauses
            group by source_id)
        select source_id, newest, usual_pause, world.now_at::date - newest as days_silent
        from usual, raw.world as world
        where usual_pause is not null and world.now_at::date - newest > greatest(7,
            usual_pause * {UNUSUAL_PAUSE})
        """,
        (
            f"No source of {name} has been silent for more than {UNUSUAL_PAUSE:g} of its usual "
            "pauses, "
            "measured against Now."
        ),
        "warning",
    )


_LOADED = " union all ".join(f"select source_id from raw.{name}" for name in CANONICAL)

#: Sources that feed master data: equal content collapses there by design.
_COLLAPSING = " union ".join(
    f"select source_id from raw.{name}" for name, table in CANONICAL.items() if table.is_state
)

MANIFEST = (
    Law(
        "manifest_deliveries_are_unique",
        "raw.manifest",
        """select source_id, delivery, path, count(*) as times from {batch}
        group by source_id, delivery, file, path having count(*) > 1 or delivery is null""",
        "The same bytes from the same source are one delivery.",
    ),
    Law(
        "manifest_rows_add_up",
        "raw.manifest",
        """select source_id, path, rows_in, rows_claimed, rows_skipped, rows_unclaimed from {batch}
        where (rows_in = rows_claimed + rows_skipped + rows_unclaimed) is not true""",
        (
            "Rows in = claimed by a rule + skipped by name + claimed by none: no row is lost at "
            "the "
            "door."
        ),
    ),
    Law(
        "manifest_claims_add_up",
        "raw.manifest",
        """select source_id, path, claims, rows_loaded, rows_quarantined, rows_repeated from {batch}
        where (rows_loaded + rows_quarantined + rows_repeated = claims
            and claims >= rows_claimed) is not true""",
        "Every claimed row was loaded, quarantined or a repeat.",
    ),
    Law(
        # by source: a row handed over again with an earlier known_at moves to that delivery
        "manifest_counts_what_is_loaded",
        "raw.manifest",
        f"""
        with loaded as (select source_id, count(*) as found from ({_LOADED}) group by source_id),
        told as (select source_id, sum(rows_loaded) as rows_loaded from {{batch}}
            group by source_id)
        select source_id, coalesce(rows_loaded, 0) as rows_loaded, coalesce(found, 0) as rows_found
        from told full join loaded using (source_id)
        where coalesce(rows_loaded, 0) <> coalesce(found, 0)
        """,
        "As many rows of a source are in the raw tables as the manifest says were loaded.",
    ),
    Law(
        "manifest_first_deliveries_repeat_nothing",  # a later one may overlap the ones before
        "raw.manifest",
        f"""select source_id, path, rows_repeated, rows_in from {{batch}}
        where source_id <> 'ledger' and source_id not in ({_COLLAPSING})
        qualify landed_seq = min(landed_seq) over (partition by source_id)
            and rows_repeated > 0""",
        (
            "No row stands twice in a source's first delivery: equal rows count once. Where they "
            "are "
            "two, give the source a `key`."
        ),
        "warning",
    ),
    Law(
        "manifest_columns_stay",
        "raw.manifest",
        """select source_id, max_by(path, landed_seq) as path, max_by(drift, landed_seq) as drift
            from {batch}
        group by source_id having max_by(drift, landed_seq) <> ''""",
        "The newest delivery of each source has the columns of the one before.",
        "warning",
    ),
    Law(
        "manifest_quarantine_is_small",
        "raw.manifest",
        """select source_id, path, rows_quarantined + rows_unclaimed as kept_out, rows_in
            from {batch}
        where rows_quarantined + rows_unclaimed > 0.05 * rows_in""",
        "At most one row in twenty of a delivery was kept out.",
        "warning",
    ),
)

WORLD = (
    Law(
        "world_is_one",
        "raw.world",
        "select count(*) as worlds from {batch} having count(*) <> 1",
        "A home holds one world.",
    ),
    Law(
        "world_has_a_clock",
        "raw.world",
        (
            "select world, grain, now_at from {batch} where now_at is null or grain is null or "
            "grain "
            "not in ('day', 'week', 'month')"
        ),
        "The world says what day it is: its Now is the newest row of sales, returns or stock, so "
        "feed one of them, or say `--as-of DATE`.",
    ),
    Law(
        "world_has_two_closed_periods",
        "raw.world",
        """
        with dated as (
            select grain, coalesce(week_starts_on, 1) as begins_on,
                timezone(timezone, timezone('UTC', first_at)) as first_sale,
                timezone(timezone, timezone('UTC', now_at)) as today
            from {batch}, (
                select min(event_at) as first_at, count(*) > count(event_at) as is_dated_later
                from raw.sales, (select now_at, begins_at from raw.world) as clock
                where known_at is null
                    or (known_at <= now_at and coalesce(event_at >= begins_at, true))
            ) as sold
            where not is_dated_later
        ),
        counted as (
            select first_sale::date as first_sale, today, grain, case grain
                when 'month' then date_diff('month', first_sale, today)
                when 'week' then (today::date - first_sale::date
                    + (isodow(first_sale) + 7 - begins_on) % 7) // 7
                else today::date - first_sale::date end as closed_periods
            from dated
        )
        select * from counted where closed_periods < 2
        """,
        "At least two periods are over since the first sale: from less nothing can be forecast. "
        "Land more history, or plan in shorter periods (`grain`).",
        "warning",  # what is landed first may well be a day: only forecasting needs more
    ),
)

#: What each item sold in windows of 28 days, counted back from Now (age 0 is the newest).
_WINDOWS = """
        with windows as (
            select item_id, date_diff('day', coalesce(event_at, known_at),
                world.now_at) // 28 as age, sum(quantity) as sold
            from {batch} as sales join raw.world as world on coalesce(event_at,
                known_at) < world.now_at group by all
        )"""

HEADED = Law(
    "purchase_orders_find_their_header",
    "raw.purchase_orders",
    f"""
    select said.source_id, said.order_id, said.line_id, said.item_id
    from {{batch}} as said
    left join (
        select {document_key("order_id")} as order_id,
            max(location_id) as location_id
        from raw.orders group by 1
    ) as headers on {document_key("said.order_id")} = headers.order_id
    where (said.location_id is null or said.event_at is null)
        and (headers.order_id is null or coalesce(said.location_id, headers.location_id) is null)
    """,
    "Every order line to a supplier says its date and place, or its order's header does: until "
    "then it counts nowhere. Hand over the header, or map the column.",
    "warning",
)

SHIPPED = Law(
    "shipments_have_a_day",
    "raw.shipments",
    f"""
    select said.source_id, said.row_no, said.shipment_id, said.order_id
    from (select * from {{batch}}) as said
    where said.event_at is null and said.shipped_at is null and not exists (
        select 1 from (select order_id, event_at from raw.orders
            union all select order_id, event_at from raw.purchase_orders) as orders
        where orders.event_at is not null
            and {document_key("orders.order_id")} = {document_key("said.order_id")}
    )
    """,
    "Every shipment says its day, or the order it names does: without one its freight counts "
    "nowhere. Hand over the order, or map the day.",
    "warning",
)

ITEMS = (
    Law(
        "sales_of_each_item_are_usual",
        "raw.sales",
        f"""{_WINDOWS},
        spread as (
            select item_id, median(sold) as middle, mad(sold) as deviation, max(sold) as highest,
                count(*) as seen
            from windows where age > 0 group by item_id having count(*) >= 6
        )
        select item_id, sold as sold_in_last_28_days, middle as usual, highest as highest_before
        from spread join windows using (item_id)
        where age = 0 and sold > 2 * highest and sold - middle > 8 * greatest(deviation, 1)
        """,
        (
            "No item sold in the last 28 days more than twice its own record: a unit or a decimal "
            "may "
            "have changed."
        ),
        "warning",
    ),
    Law(
        "sales_of_each_item_go_on",
        "raw.sales",
        f"""{_WINDOWS}
        select item_id, median(sold) filter (age > 0) as usual,
            min(sold) filter (age > 0) as lowest_before
        from windows where age <= 12 group by item_id
        having count(*) filter (age between 1 and 12) = 12 and count(*) filter (age = 0) = 0
        """,
        (
            "No item that sold in each of the twelve windows of 28 days before has sold nothing in "
            "the "
            "last one."
        ),
        "warning",
    ),
    Law(
        "sales_prices_of_each_item_are_usual",
        "raw.sales",
        f"""
        with sides as (
            select item_id, coalesce(event_at,
                known_at) >= world.now_at - interval 28 day as is_new, median(unit_price) as price
            from {{batch}} as sales, raw.world as world where unit_price > 0 and coalesce(event_at,
                known_at) < world.now_at
            group by all having count(*) >= 5
        )
        select item_id, after.price as price_in_last_28_days, before.price as usual_price
        from sides as after join sides as before using (item_id)
        where after.is_new and not before.is_new
          and greatest(after.price / before.price, before.price / after.price) > {UNUSUAL_VOLUME}
        """,
        (
            f"No item's middle price moved by a factor of {UNUSUAL_VOLUME:g} in the last 28 days: "
            "a "
            "currency or a unit may have changed."
        ),
        "warning",
    ),
)

RAW_IN = Gate(
    "raw_in",
    (
        *(law for name, table in CANONICAL.items() for law in _laws_of(name, table)),
        *(_of_the_clock(name) for name in CLOCKED),
        *(law for name in FLOWS for law in _usual(name)),
        *ITEMS,
        HEADED,
        SHIPPED,
        *words_laws(),
        *trading_laws(),
        *contradiction_laws(),
        *MANIFEST,
        *WORLD,
    ),
)

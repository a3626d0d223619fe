"""What only a whole delivery can show: two paths for one thing at one time, or totals that claim to
be known before their period ended."""

from __future__ import annotations

from collections.abc import Iterator

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.canonical import ADDED_UP, CANONICAL, DAY, GRAINS, TIME
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.locales import Locale
from orchestration.landing.contract.validation import is_period_total
from orchestration.landing.contract.world import WEEKDAYS, World
from orchestration.landing.load.ambiguous_dates import find_two_days
from orchestration.landing.load.rule_sql import CompiledRule
from orchestration.landing.readers.sourcing import Delivery, SourceRows

FEW = 3  # distinct period starts with nothing between them: these are totals and not dated lines


def check_honesty(rows: SourceRows, world: World, rules: list[CompiledRule]) -> None:
    """Raise ContractError, before anything is committed, where the rows just loaded contradict
    themselves or the clock."""
    for rule in rules:
        if "levels" in rule.cells:
            _check_paths(rows, rule)
        if (
            world.plan.grain != "day"
            and "event_at" in rule.cells
            and is_period_total(rule.table, rule.cells)
        ):
            _check_period(rows, world, rule)


def find_doubts(rows: SourceRows, rules: list[CompiledRule]) -> None:
    """Leave in `doubts` of each delivery what in it could be meant otherwise: hidden rows, equal
    rows, rows that it had before, columns of one name, and texts that the declared formats read as
    different days (02/03 is the second of March or the third of February)."""
    formats = rows.source.dates
    read = {name for rule in rules for cell in rule.cells.values() for name in cell.reads}
    for delivery in rows.deliveries:
        delivery.doubts = list(delivery.hidden)
        delivery.doubts += [
            f"equal rows of {table} in {delivery.path} count once, {count:,} left out: where each "
            "is one of its own, give the source a `key` that tells them apart"
            for table, count in delivery.twice.items()
        ]
        delivery.doubts += [
            f"{delivery.path} lacks {count:,} {'row' if count == 1 else 'rows'} of {table} that it "
            "had when it was handed over before (the first was row "
            f"{first + delivery.rows_above}); they still count: where they were wrong, hand them "
            "over once more with the quantity 0, under a `key` that stays"
            for table, (count, first) in delivery.gone.items()
        ]
        delivery.doubts += _names_that_stand_twice(delivery, read)
    for rule in rules if len(formats) > 1 else ():
        for name, cell in rule.cells.items():
            if cell.type == "VARCHAR" and CANONICAL[rule.table].columns[name] in (TIME, DAY):
                find_two_days(rows, rule.table, name, cell)


def _names_that_stand_twice(delivery: Delivery, read: set[str]) -> Iterator[str]:
    """The columns that are read though others have their name, and none of these is read."""
    by_name = {name.lower(): name for name in delivery.columns}
    for name in sorted(read & delivery.columns.keys()):
        other = by_name.get(f"{name.lower()} (2)")
        if other is not None and other not in read:
            yield (
                f"`{name}` is the name of several columns of {delivery.path}, and the first is "
                f"read: rename it, or name the one that is meant (`{other}`) in the contract"
            )


def find_parts(rows: SourceRows, world: World, rules: list[CompiledRule]) -> None:
    """Add to `doubts` that several rows say one thing at one time, where nobody said what they are:
    they would be added up."""
    said = {
        table
        for entry in world.sources[rows.source_id].into
        for table, words in entry.items()
        if "several" in words
    }
    for rule in rules:
        if rule.table not in ADDED_UP or rule.table in said:
            continue
        grain = ", ".join(name for name in GRAINS[rule.table] if name in rule.cells)
        for delivery in rows.deliveries:
            found = rows.con.execute(
                f"""SELECT sum(found), min(first) FROM (SELECT count(*) AS found,
                    min(row_no) AS first FROM raw.{quote(rule.table)}
                WHERE source_id = ? AND delivery = ? AND ends_with(part, ?)
                    GROUP BY {grain} HAVING min(row_key) <> max(row_key))""",
                [rows.source_id, delivery.sha256, rule.label],
            ).fetchone()
            if found and found[0]:
                delivery.doubts.append(
                    f"{found[0]:,} rows of {rule.table} share {grain} (the first is row "
                    f"{found[1] + delivery.rows_above} of {delivery.path}) and are added up: say "
                    "`several: sum` in the rule where they are parts of one, `several: newest` "
                    "where they are counts of the same"
                )


def _check_paths(rows: SourceRows, rule: CompiledRule) -> None:
    """A level is its path from the root, so a thing has one path at a time."""
    name = CANONICAL[rule.table].required[0]
    found = rows.con.execute(
        f"""SELECT {quote(name)}, known_at, min(levels), max(levels) FROM raw.{quote(rule.table)}
        WHERE source_id = ? AND levels IS NOT NULL
            GROUP BY ALL HAVING min(levels) <> max(levels) LIMIT 1""",
        [rows.source_id],
    ).fetchone()
    if found:
        thing, known_at, one, other = found
        raise ContractError(
            f"{rule.table} `{thing}` has two paths known at {known_at}: "
            f"{' > '.join(map(str, one))} and {' > '.join(map(str, other))}",
            where=rows.deliveries[0].path,
            mend=(
                f"source `{rows.source_id}`: give the later one a later known_at, or correct the "
                "file"
            ),
        )


def _check_period(rows: SourceRows, world: World, rule: CompiledRule) -> None:
    """Rows that all stand on period starts are totals; a total is known when its period has
    ended."""
    local = Locale(rows.source, world.timezone).to_local("event_at")
    if world.plan.grain == "week":
        shift = f"to_days({WEEKDAYS.index(world.plan.week_starts_on)})"
        start, length = f"date_trunc('week', {local} - {shift}) + {shift}", "INTERVAL 7 DAYS"
    else:
        start, length = f"date_trunc('month', {local})", "INTERVAL 1 MONTH"
    ends = Locale(rows.source, world.timezone).to_utc(f"(start + {length})")
    shas = "[" + ", ".join(literal(delivery.sha256) for delivery in rows.deliveries) + "]"
    found = rows.con.execute(
        f"""SELECT count(DISTINCT start), min(event_at) FILTER (WHERE known_at < {ends}) FROM (
            SELECT event_at, known_at, {local} AS local_at, CAST({start} AS TIMESTAMP) AS start
                FROM raw.{quote(rule.table)}
            WHERE source_id = ? AND list_contains({shas}, delivery) AND ends_with(part,
                {literal(rule.label)}))
        HAVING bool_and(local_at = start)""",
        [rows.source_id],
    ).fetchone()
    if found and found[0] >= FEW and found[1] is not None:
        raise ContractError(
            f"`{rule.table}` of {found[1]:%Y-%m-%d} is the total of a {world.plan.grain} and known "
            f"before the {world.plan.grain} has ended",
            where=world.where("sources", rows.source_id),
            mend=f"known_after: {'7 days' if world.plan.grain == 'week' else '1 month'}",
        )

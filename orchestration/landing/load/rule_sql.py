"""One rule as one select, whose every output row comes from one source row.

The select is built in beats: `raw` evaluates the contract's expressions, `typed` casts them in the
source's declared locale, `dated` adds when it was known, and the last names the first thing wrong
with the row, if anything is. In careful mode every expression is wrapped in TRY, so that one bad
cell spoils one row and not the query.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.canonical import (
    CANONICAL,
    DAY,
    FLAG,
    GRAINS,
    NUMBER,
    PATH,
    PERSONAL,
    TIME,
    Table,
    names_a_thing,
)
from orchestration.landing.contract.locales import LONGEST_ID, Locale
from orchestration.landing.contract.privacy import hidden
from orchestration.landing.contract.validation import event_column

#: What spreadsheets write into a cell whose formula failed, in whatever language (#N/A, #NV, #REF!,
#: #BEZUG!, #NOM?, Err:502); `nulls: ["#N/A"]` says that nothing is meant.
FAILED = r"\s*(#(N/A|N/D|NV|N/V|I/T|[A-ZÀ-ß/0-9 ]+[!?]|GETTING_DATA)|(Err|Fehler|Erreur):\d{3})\s*"
#: Why a row is not taken whose expression fails; the cells that it read are shown.
UNEVALUATED = "cannot be evaluated"
#: What lies outside is no time: the books of no company reach there, and no library does.
CALENDAR = {
    TIME: "TIMESTAMP '0001-01-01' AND TIMESTAMP '9999-12-31 23:59:59'",
    DAY: "DATE '0001-01-01' AND DATE '9999-12-31'",
}
#: No quantity, price or amount of a trade is larger; money kept to the digit has room for it.
LARGEST = 1e15
TOO_LONG = f"is longer than {LONGEST_ID} characters"
#: The ids in whose place a word for a sum may stand.
SUMMED = frozenset({"item_id", "location_id", "supplier_id"})
#: Below zero these mean nothing, and a mart that met one would stop the line for all.
NOT_NEGATIVE = frozenset(
    {
        "quantity",
        "price",
        "list_price",
        "pack_size",
        "lead_time_days",
        "lead_time_working_days",
        "moq",
        "order_multiple",
        "from_quantity",
        "unit_cost",
        "holding_cost",
        "shortage_cost",
        "weight_kg",
        "volume_m3",
        "shelf_life_days",
        "payment_days",
        "capacity",
        "transit_days",
        "after_days",
        "freight_per_kg",
        "distance_km",
        "co2_per_tonne_km",
        "capacity_kg",
        "freight_cost",
        "delivered_quantity",
        "reserved",
        "rate",
        "share",
        "scrap_share",
        "tax_share",
        "fuel_share",
    }
)
#: Except here: goods sent back to the supplier, or a receipt that is taken back.
TAKES_BACK = frozenset({("receipts", "quantity")})
#: What a number below zero usually means there.
BROUGHT_BACK = {
    ("sales", "quantity"): ": what came back is of `returns`, a rule with `when: x < 0`",
    ("purchase_orders", "quantity"): ": what goes back to a supplier is of `receipts`",
}
#: How a spreadsheet counts days: 36526 is the first of 2000, 73050 the last of 2099.
SERIAL = r"(3[6-9]|[4-6]\d|7[0-2])\d{3}(\.\d+)?"
#: Longer is no time that anybody plans with: one delivery later than that would make the forecast
#: of all others as long.
MOST_DAYS = {
    "lead_time_days": 1_000,
    "lead_time_working_days": 1_000,
    "transit_days": 1_000,
    "after_days": 1_000,
    "shelf_life_days": 100_000,
    "payment_days": 100_000,
}
#: Above one these were meant per cent.
SHARES = frozenset({"share", "scrap_share", "tax_share", "fuel_share"})


@dataclass(frozen=True)
class Cell:
    """One expression of the contract over the source row: SQL and the DuckDB type it has."""

    sql: str
    type: str
    reads: frozenset[str] = frozenset()  # columns of the source


@dataclass(frozen=True)
class Check:
    """One way a row can be wrong: SQL that is true then, the column, and the rule in words.

    within: what is true of few rows, and of all that are wrong so. Neighbours with the same one are
    asked only there, and the last of them is what is left.
    unless: what is true of nearly all rows, and of none that is wrong so.
    """

    sql: str
    column: str
    rule: str
    within: str = ""
    unless: str = ""


@dataclass(frozen=True)
class CompiledRule:
    """One rule as SQL over the relation `src`, or `src_hashed` where the source names customers."""

    label: str
    table: str
    when: str | None
    cells: dict[str, Cell]
    known: Cell | None  # over the source row and the local times `v:column`
    lag: str | None
    delivered: Cell | None
    row_key: str
    is_keyed: bool
    key_missing: str | None
    locale: Locale
    personal: frozenset[str]  # columns of the source that say who bought
    # a keyed state whose time of knowing is not part of its key or content: A, B and A again are
    # three versions
    can_return: bool
    # rows of one grain are versions of it, whatever else tells them apart
    is_of_its_grain: bool

    @property
    def is_ordered_by_landing(self) -> bool:
        """Whether a correction is told from what it corrects by the order of landing alone: the
        contract does not say when rows were handed over."""
        return self.is_keyed and self.delivered is None

    @property
    def is_known_at_once(self) -> bool:
        """Whether a row is known at the very moment that it tells of."""
        event = event_column(self.table)
        is_moment = event is not None and CANONICAL[self.table].columns[event] == TIME
        return (
            is_moment and re.fullmatch(r"0+ [a-z]+", (self.lag or "").strip().lower()) is not None
        )

    def checks(self, careful: bool) -> list[Check]:
        """Everything that would send a row of this rule to quarantine, in the order it is looked
        for."""
        spec = CANONICAL[self.table]
        found: list[Check] = []
        if careful:
            found += [
                Check(f"{quote('t:' + name)} IS NULL", name, UNEVALUATED) for name in self._names()
            ]
            if self.when is not None:
                found.append(Check(f"{quote('t:when')} IS NULL", "when", UNEVALUATED))
        if self.key_missing:
            found.append(Check(self.key_missing, "key", "a key column is empty"))
        for name, cell in self.cells.items():
            found += _checks_of(name, cell, spec.columns[name], is_required=name in spec.required)
            if spec.columns[name] == NUMBER:
                found += _checks_of_size(self.table, name)
            found += _checks_of_meaning(name)
        for group in spec.one_of:
            nulls = " AND ".join(
                f"{quote('v:' + name)} IS NULL" for name in group if name in self.cells
            )
            found.append(Check(f"({nulls})", "|".join(group), "is missing"))
        if self.table == "constraints":
            found += _checks_of_limits()
        return found + self._checks_of_times(spec)

    def _checks_of_times(self, spec: Table) -> list[Check]:
        unsaid = '"k:known" IS NULL'
        indirect = any(name in self.cells for name in ("period_id", "order_id"))
        if self.lag is not None and indirect:  # the period or the order says it, after landing
            unsaid = f"({unsaid} AND {self._event_value()} IS NOT NULL)"
        found = [
            Check(unsaid, "known_at", "nothing says when this row was known"),
            Check(
                f'"k:known" NOT BETWEEN {CALENDAR[TIME]}',
                "known_at",
                "would be known beyond any calendar",
            ),
        ]
        if self.delivered is not None:
            unsaid = "nothing says when this row was delivered"
            found.append(Check('"k:delivered" IS NULL', "delivered_at", unsaid))
            if spec.is_observed and "event_at" in self.cells:
                late = '"u:event_at" > "k:delivered"'
                found.append(Check(late, "event_at", "is later than its delivery"))
        return found

    def _names(self) -> list[str]:
        return [
            *self.cells,
            *(["known_at"] if self.known else []),
            *(["delivered_at"] if self.delivered else []),
        ]

    def _event_value(self) -> str:
        event = event_column(self.table)
        return quote("v:" + event) if event in self.cells else "NULL"

    def _zoned(self) -> str:
        """Every time once more, local where it was read in UTC and the other way round: a step of
        its own, so that no text is read twice."""
        added = ""
        for name, cell in self.cells.items():
            if CANONICAL[self.table].columns[name] == TIME:
                local, utc = quote("v:" + name), quote("u:" + name)
                _, is_utc = self.locale.time("", cell.type)
                other = (self.locale.to_local(utc), local)
                added += ", {} AS {}".format(
                    *(other if is_utc else (self.locale.to_utc(local), utc))
                )
        return added

    def _marks(self, *, beside: bool, careful: bool) -> list[str]:
        """Which ids are plain: asked once by what cleans and by what judges. A word for a sum is
        none, and is looked at again.

        beside: those that are asked beside a simple expression, made once more for it, since the
        engine asks each text of a file's dictionary once then; others are asked of what it came to.
        """
        marks = []
        for name, cell in self.cells.items():
            is_beside = not careful and cell.sql.count("(") < 2  # one function at most
            if _is_id(name, cell) and is_beside == beside:
                text = cell.sql if beside else quote("x:" + name)
                is_plain = Locale.is_plain_name if name in SUMMED else Locale.is_plain
                marks.append(f"{is_plain(text)} AS {quote('p:' + name)}")
        return marks

    def _typed(self, name: str) -> str:
        """A column as the type that it is declared to be."""
        cell, source, kind = (
            self.cells[name],
            quote("x:" + name),
            CANONICAL[self.table].columns[name],
        )
        if kind == TIME:
            sql, is_utc = self.locale.time(source, cell.type)
            return f"{sql} AS {quote(('u:' if is_utc else 'v:') + name)}"
        if name in PERSONAL:
            (column,) = cell.reads if cell.sql in map(quote, cell.reads) else (None,)
            sql = hidden(source) if column is None else quote("h:" + column)
        elif names_a_thing(name):
            sql = self.locale.name(source, cell.type, quote("p:" + name))
        else:
            sql = self.locale.cast(source, cell.type, kind)
        return f"{sql} AS {quote('v:' + name)}"

    def select(
        self,
        source_id: str,
        columns: Mapping[str, str],
        *,
        careful: bool,
        where: str,
        extra: str = "",
    ) -> str:
        """The rule's rows with their problem number (null = good, else the place in `checks`), its
        value and the raw text."""
        checks = self.checks(careful)
        condition = where if careful or self.when is None else f"({where}) AND ({self.when})"
        kept = '("t:when" IS NULL OR "t:when".v)' if careful and self.when is not None else "true"
        first = [*self.cells, *(["delivered_at"] if self.delivered else [])]
        known, dated = self._known(careful)
        source = "src_hashed" if self.personal else "src"
        since = _opened(["known_at"]) if careful and self.known else ""
        return f"""
WITH raw AS (SELECT *, {", ".join(self._raw(careful))} FROM {source} WHERE {condition}),
opened AS (SELECT *{_opened(first) if careful else ""} FROM raw WHERE {kept}),
marked AS (SELECT {", ".join(["*", *self._marks(beside=False, careful=careful)])} FROM opened),
typed AS (SELECT *, {", ".join(self._all_typed()) or "NULL"} FROM marked),
zoned AS (SELECT *{self._zoned()} FROM typed),
known AS (SELECT *, {known} FROM zoned),
dated AS (SELECT *, {dated} FROM (SELECT *{since} FROM known)),
judged AS (SELECT *, {_first_wrong(checks)} AS "k:problem" FROM dated)
SELECT {", ".join(self._facts())}, {self._times()},
    {self._identity(source_id)} AS row_key,
  hash({literal(source_id)}, {self._content()}) AS row_hash, _row AS row_no, _d,
  "k:problem" AS problem,
  {self._problem_value(checks)} AS problem_value,
  CASE WHEN "k:problem" IS NOT NULL THEN {row_text(columns, self.personal)} END AS raw_text{extra}
FROM judged""".strip()

    def _raw(self, careful: bool) -> list[str]:
        """The contract's expressions over the source row."""
        raw = [_guarded(name, cell.sql, careful) for name, cell in self.cells.items()]
        raw += [_guarded("delivered_at", self.delivered.sql, careful)] if self.delivered else []
        raw += [f'{self.row_key} AS "k:key"']
        raw += self._marks(beside=True, careful=careful)
        if self.when is not None and careful:
            raw.append(f"TRY({{'v': {self.when}}}) AS {quote('t:when')}")
        return raw

    def _all_typed(self) -> list[str]:
        typed = [self._typed(name) for name in self.cells]
        if self.delivered:
            times = self.locale.times(quote("x:delivered_at"), self.delivered.type)
            typed.append(f'{times[1]} AS "k:delivered"')
        return typed

    def _known(self, careful: bool) -> tuple[str, str]:
        """When the row was known, as the contract says it and as a UTC moment."""
        if self.known:
            at = self.locale.times(quote("x:known_at"), self.known.type)[1]
            return _guarded("known_at", self.known.sql, careful), f'{at} AS "k:known"'
        event = event_column(self.table)
        if self.is_known_at_once and event in self.cells:
            return f'{quote("v:" + event)} AS "x:known_at"', f'{quote("u:" + event)} AS "k:known"'
        later = f"CAST({self._event_value()} AS TIMESTAMP) + INTERVAL {literal(self.lag or '')}"
        known = f'{f"TRY({later})" if careful else later} AS "x:known_at"'
        return known, f'{self.locale.to_utc(quote("x:known_at"))} AS "k:known"'

    def _problem_value(self, checks: list[Check]) -> str:
        """What to show of the first thing that is wrong: the value, or the cells behind it."""
        times = (("known_at", self.known), ("delivered_at", self.delivered))
        cells = self.cells | {name: cell for name, cell in times if cell}
        shown = {
            name: hidden(x) if cells[name].reads & self.personal else x
            for name in self._names()
            for x in [quote("x:" + name)]
        }
        shown |= {
            UNEVALUATED + name: f"concat_ws(', ', {', '.join(map(quote, sorted(cell.reads)))})"
            for name, cell in cells.items()
            if cell.reads and not cell.reads & self.personal
        }
        cases = [
            f"WHEN {i} THEN CAST({shown[place]} AS VARCHAR)"
            for i, check in enumerate(checks)
            for place in [(UNEVALUATED if check.rule == UNEVALUATED else "") + check.column]
            if place in shown
        ]
        return f'CASE "k:problem" {" ".join(cases)} END' if cases else "CAST(NULL AS VARCHAR)"

    def _facts(self) -> list[str]:
        """Every column of the canonical table, null where the contract says nothing of it."""
        return [
            f"{self._value(name) if name in self.cells else f'CAST(NULL AS {kind})'} AS "
            f"{quote(name)}"
            for name, kind in CANONICAL[self.table].columns.items()
        ]

    def _identity(self, source_id: str) -> str:
        """What says that two rows are versions of one."""
        if not self.is_of_its_grain:
            return '"k:key"'
        grain = [self._value(name) for name in GRAINS[self.table] if name in self.cells]
        return f"hash({', '.join([literal(f'{source_id}/{self.label}'), *grain])})"

    def _content(self) -> str:
        return ", ".join(self._value(name) for name in self.cells)

    def _value(self, name: str) -> str:
        kind = CANONICAL[self.table].columns[name]
        return quote(("u:" if kind == TIME else "v:") + name)

    def _times(self) -> str:
        """When the row was known, or how long after what it tells of, and when it was handed
        over."""
        handed = '"k:delivered"' if self.delivered else "CAST(NULL AS TIMESTAMP)"
        final = (
            'CASE WHEN "k:known" IS NOT NULL THEN greatest("k:known", "k:delivered") END'
            if self.delivered
            else '"k:known"'
        )
        lag = (
            f'CASE WHEN "k:known" IS NULL THEN INTERVAL {literal(self.lag)} END'
            if self.lag
            else "CAST(NULL AS INTERVAL)"
        )
        return f"{final} AS known_at, {lag} AS known_lag, {handed} AS handed_over_at"


def _guarded(name: str, sql: str, careful: bool) -> str:
    if careful:
        return f"TRY({{'v': {sql}}}) AS {quote('t:' + name)}"
    return f"{sql} AS {quote('x:' + name)}"


def _opened(names: list[str]) -> str:
    """What TRY let through, as further columns."""
    return "".join(f", {quote('t:' + name)}.v AS {quote('x:' + name)}" for name in names)


def _first_wrong(checks: list[Check]) -> str:
    """The place of the first check that is true of a row; null where none is. Rows of plain ids,
    nearly all, are asked by the other checks alone."""
    places = list(enumerate(checks))
    plain = sorted({check.unless for check in checks if check.unless})
    if not plain:
        return _cases(places)
    others = [(i, check) for i, check in places if not check.unless]
    return f"CASE WHEN {' AND '.join(plain)} THEN {_cases(others)} ELSE {_cases(places)} END"


def _cases(places: list[tuple[int, Check]]) -> str:
    """The first of some checks, each with its place."""
    cases = []
    for within, group in itertools.groupby(places, key=lambda one: one[1].within):
        whens = " ".join(f"WHEN {check.sql} THEN {i}" for i, check in group)
        cases.append(f"WHEN {within} THEN CASE {whens} END" if within else whens)
    return f"CASE {' '.join(cases)} END"


def _is_id(name: str, cell: Cell) -> bool:
    """Whether a column names a thing in text as it was handed over."""
    return names_a_thing(name) and name not in PERSONAL and cell.type == "VARCHAR"


def _checks_of(name: str, cell: Cell, kind: str, *, is_required: bool) -> list[Check]:
    """How a value can be wrong in its column."""
    value, raw = quote("v:" + name), quote("x:" + name)
    found = []
    if cell.type == "VARCHAR" and kind not in ("VARCHAR", PATH):
        unread = f"({value} IS NULL AND {raw} IS NOT NULL)"
        if kind in (TIME, DAY):
            serial = f"({value} IS NULL AND regexp_full_match({raw}, {literal(SERIAL)}))"
            mend = "read it by `date '1899-12-30' + floor(x::double)::int`, x its column"
            found.append(Check(serial, name, f"is a spreadsheet's number of a day: {mend}"))
        found.append(Check(unread, name, f"is no {_noun(kind)} as declared"))
    if _is_id(name, cell):
        return _checks_of_id(name, is_required=is_required)
    if cell.type == "VARCHAR" and kind == "VARCHAR":
        failed = f"regexp_full_match({raw}, {literal(FAILED)}, 'i')"
        found.append(Check(failed, name, "is a failed formula"))
    if kind == PATH and "VARCHAR" in cell.type:
        path, steps = f"array_to_string({value}, chr(31))", literal(rf"(^|\x1f){FAILED}(\x1f|$)")
        signs = f"(contains({path}, '#') OR contains({path}, ':'))"  # one of them is in each
        failed = f"({signs} AND regexp_matches({path}, {steps}, 'i'))"
        found.append(Check(failed, name, "is a failed formula"))
    if is_required:
        found.append(Check(f"{value} IS NULL", name, "is missing"))
    if names_a_thing(name) and name not in PERSONAL:
        long = f"(strlen({value}) > {LONGEST_ID} AND length({value}) > {LONGEST_ID})"  # bytes first
        found.append(Check(long, name, TOO_LONG))
    if kind in CALENDAR:
        outside = f"{value} NOT BETWEEN {CALENDAR[kind]}"
        infinite, beyond = f"is no finite {_noun(kind)}", "is beyond any calendar"
        found.append(Check(f"NOT isfinite({value})", name, infinite, outside))
        found.append(Check(outside, name, beyond, outside))
    return found


def _checks_of_id(name: str, *, is_required: bool) -> list[Check]:
    """How a text can be no name of a thing; a plain one is."""
    value, raw, plain = (quote(step + name) for step in ("v:", "x:", "p:"))
    wrong = [(f"regexp_full_match({raw}, {literal(FAILED)}, 'i')", "is a failed formula")]
    wrong += [(f"{value} IS NULL", "is missing")] if is_required else []
    wrong += [(f"length({value}) > {LONGEST_ID}", TOO_LONG)]
    if name in SUMMED:
        wrong += [(Locale.is_sum(value), "is a word for a sum and names nothing")]
    odd = f"{plain} IS DISTINCT FROM true"
    return [Check(f"({odd} AND {sql})", name, rule, unless=plain) for sql, rule in wrong]


def _checks_of_size(table: str, name: str) -> list[Check]:
    """How a number can be of no size that is meant; what is below zero counts where goods may go
    back alone."""
    value, largest = quote("v:" + name), f"{LARGEST:g}"
    is_signed = name not in NOT_NEGATIVE or (table, name) in TAKES_BACK
    outside = f"{value} NOT BETWEEN {f'-{largest}' if is_signed else 0} AND {largest}"
    too_large = outside if is_signed else f"{value} NOT BETWEEN -{largest} AND {largest}"
    found = [
        Check(f"NOT isfinite({value})", name, "is no finite number", outside),
        Check(too_large, name, "is too large to be meant", outside),
    ]
    if not is_signed:
        back = BROUGHT_BACK.get((table, name), "")
        found.append(Check(outside, name, f"is negative{back}", outside))
    return found


def _checks_of_meaning(name: str) -> list[Check]:
    """What a value of this column cannot mean, though it can be read."""
    value, found = quote("v:" + name), []
    if name in MOST_DAYS:
        too_long = f"is more than {MOST_DAYS[name]:,} days"
        found.append(Check(f"{value} > {MOST_DAYS[name]}", name, too_long))
    if name in SHARES:
        meant = "is no share between 0 and 1: divide a per cent by 100"
        found.append(Check(f"{value} > 1", name, meant))
    return found


def _checks_of_limits() -> list[Check]:
    """What no limit can be; one that lies outside would stop the line at its rehearsal."""
    name, value = quote("v:name"), quote("v:value")
    return [
        Check(
            f"{name} = 'service_level' AND {value} NOT BETWEEN 0 AND 0.9999999999",
            "value",
            "is no service level: at least 0 and below 1, such as 0.95 for 95 %",
        ),
        Check(
            f"{name} = 'duty_share' AND {value} > 1",
            "value",
            "is no share between 0 and 1: divide a per cent by 100",
        ),
        Check(f"{value} < 0", "value", "is negative, which no limit is"),
    ]


@dataclass(frozen=True)
class CompiledSource:
    """A source as SQL: what is skipped and by which name, and every rule."""

    source_id: str
    columns: dict[str, str]
    skip: dict[str, str]
    rules: list[CompiledRule]
    personal: frozenset[str]  # columns that say who bought


def row_text(columns: Iterable[str], personal: Collection[str]) -> str:
    """The delivered row as JSON for people who mend it; whoever bought is shown as the keyed
    hash."""
    cells = (
        f"{literal(name)}: {hidden(quote(name)) if name in personal else quote(name)}"
        for name in columns
    )
    return f"left(CAST(to_json({{{', '.join(cells)}}}) AS VARCHAR), 2000)"


def _noun(kind: str) -> str:
    return {NUMBER: "number", TIME: "time", DAY: "date", FLAG: "yes or no"}.get(kind, "text")

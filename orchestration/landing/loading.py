"""One batch of deliveries of one source into the canonical tables, in the caller's transaction."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import duckdb
import pyarrow as pa

from orchestration.landing.canonical import CANONICAL, LINEAGE
from orchestration.landing.compile import CompiledRule, CompiledSource, Compiler
from orchestration.landing.contract import Source, World, Xlsx
from orchestration.landing.errors import ContractError
from orchestration.landing.expressions import literal, parser, quote
from orchestration.landing.readers import (
    Reject,
    csv_header,
    csv_needs_rewriting,
    csv_select,
    json_table,
    null_text,
    parquet_columns,
    patient_csv,
    rewrite_csv,
    workbook_table,
)

#: What DuckDB raises when one cell or one line is bad, as opposed to the disk or ourselves.
BAD_DATA = (duckdb.ConversionException, duckdb.InvalidInputException, duckdb.OutOfRangeException, duckdb.DataError)


@dataclass
class Delivery:
    """Bytes on disk that wait to be loaded, and what is counted while they are."""

    sha256: str
    bytes: int
    path: str  # display name
    stem: str
    file: Path
    columns: dict[str, str] = field(default_factory=dict)  # as delivered
    table: pa.Table | None = None  # already parsed
    rejects: list[Reject] = field(default_factory=list)
    rewritten: Path | None = None
    drift: str = ""
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    skipped: dict[str, int] = field(default_factory=dict)
    handed_over_at: object = None

    @property
    def part(self) -> str:
        return self.path.partition("!")[2]


COUNTS = ("rows_in", "rows_skipped", "rows_unclaimed", "rows_claimed", "claims", "rows_loaded", "rows_quarantined", "rows_repeated")


def look(con: duckdb.DuckDBPyConnection, source: Source, delivery: Delivery, scratch: Path) -> None:
    """Find the columns of one delivery, parsing what cannot be parsed by DuckDB itself; ContractError where it is unreadable."""
    form = source.format_of(delivery.path)
    if form.kind == "csv":
        options = form.csv_options
        names = csv_header(delivery.file, options, delivery.path)
        if csv_needs_rewriting(delivery.file, options):
            delivery.rewritten = scratch / f"{delivery.sha256}.csv"
            rewrite_csv(delivery.file, delivery.rewritten, options, delivery.path)
        delivery.columns = dict.fromkeys(names, "VARCHAR")
    elif form.kind == "parquet":
        delivery.columns = parquet_columns(con, delivery.file, delivery.path)
    elif form.kind == "xlsx":
        delivery.table, names = workbook_table(delivery.file, form.xlsx or form.ods or Xlsx(), source, delivery.path)
        delivery.columns = dict.fromkeys(names, "VARCHAR")
    else:
        options_json = form.json_ or form.jsonl
        records = options_json.records if options_json else None
        delivery.table, names, delivery.rejects = json_table(delivery.file, records, source.nulls, delivery.path)
        delivery.columns = dict.fromkeys(names, "VARCHAR")


class Batch:
    """Deliveries of one source with equal columns, loaded by one select a rule and counted one by one."""

    def __init__(self, con: duckdb.DuckDBPyConnection, world: World, source_id: str, deliveries: list[Delivery]) -> None:
        self.con, self.world, self.source_id, self.deliveries = con, world, source_id, deliveries
        self.source = world.sources[source_id]
        self.form = self.source.format_of(deliveries[0].path)
        self.columns = dict(deliveries[0].columns)

    def load(self) -> None:
        """Stage, judge, dedupe and insert every row; the caller commits. Counts end up in the deliveries."""
        self._source_rows()
        with parser() as side:
            compiled = Compiler(side, self.world, self.source_id, self.columns).source_sql()
        self._fates(compiled)
        for rule in compiled.rules:
            self._rule(compiled, rule)
        for delivery in self.deliveries:
            _check_counts(delivery)

    # --- the source rows -------------------------------------------------------------------------------------------------

    def _source_rows(self) -> None:
        """`src`: the batch's rows with _d, _file and _row, long if the contract unpivots."""
        con = self.con
        con.execute("DROP VIEW IF EXISTS src; DROP VIEW IF EXISTS src_wide; DROP TABLE IF EXISTS src_rows; DROP TABLE IF EXISTS batch")
        con.execute("CREATE TEMP TABLE batch (_d INTEGER, _path VARCHAR, _file VARCHAR, delivery VARCHAR, path VARCHAR, part VARCHAR)")
        rows = [(i, str(d.rewritten or d.file), d.stem, d.sha256, d.path, d.part) for i, d in enumerate(self.deliveries)]
        con.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?)", rows)
        names = ", ".join(quote(name) for name in self.columns)
        if self.form.kind == "parquet":
            self._parquet_view()
        elif self.form.kind == "csv":
            self._csv_rows(names)
        else:
            self._arrow_rows(names, {i: d.table for i, d in enumerate(self.deliveries) if d.table is not None})
        if self.source.unpivot:
            self._unpivot()

    def _parquet_view(self) -> None:
        files = "[" + ", ".join(literal(str(d.file)) for d in self.deliveries) + "]"
        columns = ", ".join(null_text(name, kind, self.source.nulls) for name, kind in self.columns.items())
        reader = f"read_parquet({files}, filename='_path', file_row_number=true)"
        if len(self.deliveries) == 1:
            only = self.deliveries[0]
            self.con.execute(
                f"CREATE TEMP VIEW src AS SELECT {columns}, 0 AS _d, {literal(only.stem)} AS _file, file_row_number + 1 AS _row FROM {reader}"
            )
        else:
            self.con.execute(
                f"CREATE TEMP VIEW src AS SELECT {columns}, _d, _file, file_row_number + 1 AS _row FROM {reader} JOIN batch USING (_path)"
            )

    def _csv_rows(self, names: str) -> None:
        options = self.form.csv_options
        files = [d.rewritten or d.file for d in self.deliveries]
        try:
            self.con.execute(f"CREATE TEMP TABLE src_rows AS {csv_select(files, list(self.columns), options, self.source.nulls)}")
        except BAD_DATA:
            tables = {}
            for i, delivery in enumerate(self.deliveries):
                tables[i], delivery.rejects = patient_csv(files[i], list(self.columns), options, self.source.nulls)
            self._arrow_rows(names, tables)
            return
        if len(self.deliveries) == 1:
            only = self.deliveries[0]
            self.con.execute(f"CREATE TEMP VIEW src AS SELECT {names}, 0 AS _d, {literal(only.stem)} AS _file, _n AS _row FROM src_rows")
        else:
            self.con.execute(
                f"""CREATE TEMP VIEW src AS SELECT {names}, _d, _file, _n - _first + 1 AS _row
                FROM src_rows JOIN batch USING (_path) JOIN (SELECT _path, min(_n) AS _first FROM src_rows GROUP BY _path) USING (_path)"""
            )

    def _arrow_rows(self, names: str, tables: dict[int, pa.Table]) -> None:
        columns = ", ".join(f"{quote(name)} VARCHAR" for name in self.columns)
        self.con.execute(f"CREATE TEMP TABLE src_rows ({columns}, _row BIGINT, _d INTEGER)")
        for i, table in tables.items():
            self.con.register("arrow_rows", table)
            self.con.execute(f"INSERT INTO src_rows BY NAME SELECT *, {i} AS _d FROM arrow_rows")
            self.con.unregister("arrow_rows")
        self.con.execute(f"CREATE TEMP VIEW src AS SELECT {names}, _d, _file, _row FROM src_rows JOIN batch USING (_d)")

    def _unpivot(self) -> None:
        unpivot = self.source.unpivot
        if unpivot is None:
            return
        by_lower = {name.lower(): name for name in self.columns}
        for name in unpivot.keep:
            if name.lower() not in by_lower:
                raise ContractError(
                    f"`{name}` is no column of source `{self.source_id}`", where=self.world.where("sources", self.source_id, "unpivot")
                )
        kept = [by_lower[name.lower()] for name in unpivot.keep]
        wide = [name for name in self.columns if name not in kept]
        if not wide:
            raise ContractError("nothing is left to unpivot", where=self.world.where("sources", self.source_id, "unpivot"))
        kinds = {self.columns[name] for name in wide}
        kind = kinds.pop() if len(kinds) == 1 else "VARCHAR"
        casts = ", ".join(f"CAST({quote(name)} AS {kind}) AS {quote(name)}" for name in wide)
        keeps = ", ".join(quote(name) for name in kept)
        listed = ", ".join(quote(name) for name in wide)
        self.con.execute("ALTER VIEW src RENAME TO src_wide")
        self.con.execute(
            f"CREATE TEMP VIEW src AS SELECT * FROM (SELECT {keeps}, _d, _file, _row, {casts} FROM src_wide)"
            f" UNPIVOT INCLUDE NULLS ({quote(unpivot.value)} FOR {quote(unpivot.name)} IN ({listed}))"
        )
        self.columns = {**{name: self.columns[name] for name in kept}, unpivot.name: "VARCHAR", unpivot.value: kind}

    # --- fates: skipped by name, claimed, or nobody's ----------------------------------------------------------------------

    def _fates(self, compiled: CompiledSource) -> None:
        """Count what each row is: skipped (by the first reason that says so), claimed by a rule, or unclaimed and quarantined."""
        try:
            self.skip, self.claim = self._fate_sql(compiled, careful=False)
            counted = self._count_fates()
        except BAD_DATA:
            self.skip, self.claim = self._fate_sql(compiled, careful=True)
            counted = self._count_fates()
        reasons = [*compiled.skip, "a skip rule cannot be evaluated"]
        for index, skip, claimed, rows in counted:
            delivery = self.deliveries[index]
            delivery.counts["rows_in"] += rows
            if skip is not None and skip < len(compiled.skip):
                delivery.counts["rows_skipped"] += rows
                delivery.skipped[reasons[skip]] = rows
            elif skip is None and claimed:
                delivery.counts["rows_claimed"] += rows
            else:
                delivery.counts["rows_unclaimed"] += rows
        self._quarantine_unclaimed(compiled)

    def _fate_sql(self, compiled: CompiledSource, *, careful: bool) -> tuple[str, str]:
        """(number of the skip reason or null, is claimed). Careful: an expression that fails neither skips nor refuses."""
        last = len(compiled.skip)
        if careful:
            cases = "".join(
                f" WHEN TRY({{'v': {sql}}}) IS NULL THEN {last} WHEN TRY({{'v': {sql}}}).v THEN {i}"
                for i, sql in enumerate(compiled.skip.values())
            )
            claims = [
                f"coalesce(TRY({{'v': {rule.when}}}) IS NULL OR TRY({{'v': {rule.when}}}).v, false)" for rule in compiled.rules if rule.when
            ]
        else:
            cases = "".join(f" WHEN {sql} THEN {i}" for i, sql in enumerate(compiled.skip.values()))
            claims = [f"coalesce({rule.when}, false)" for rule in compiled.rules if rule.when]
        skip = f"CASE{cases} END" if cases else "CAST(NULL AS INTEGER)"
        claim = "true" if len(claims) < len(compiled.rules) else " OR ".join(claims)
        return skip, claim

    def _count_fates(self) -> list[tuple[int, int | None, bool, int]]:
        return self.con.execute(
            f"SELECT _d, skip, claim, count(*) FROM (SELECT _d, {self.skip} AS skip, ({self.claim}) AS claim FROM src) GROUP BY ALL"
        ).fetchall()

    def _quarantine_unclaimed(self, compiled: CompiledSource) -> None:
        last = len(compiled.skip)
        if any(d.counts["rows_unclaimed"] for d in self.deliveries):
            raw = "to_json({" + ", ".join(f"{literal(name)}: {quote(name)}" for name in self.columns) + "})"
            self.con.execute(
                f"""INSERT INTO raw.quarantine
                SELECT left(md5(concat_ws('|', {literal(self.source_id)}, delivery, u.part, _row, raw_text)), 16), {literal(self.source_id)},
                  delivery, path, u.part, _row, NULL, NULL, NULL,
                  CASE WHEN skip = {last} THEN 'a skip rule cannot be evaluated' ELSE 'no rule takes this row' END, raw_text, 'open'
                FROM (SELECT _d, _row, {self._part_sql(None)} AS part, {self.skip} AS skip, left(CAST({raw} AS VARCHAR), 2000) AS raw_text
                      FROM src WHERE ({self.skip}) = {last} OR (({self.skip}) IS NULL AND NOT ({self.claim}))) u JOIN batch USING (_d)"""
            )
        for delivery in self.deliveries:
            for reject in delivery.rejects:
                delivery.counts["rows_in"] += 1
                delivery.counts["rows_unclaimed"] += 1
                self.con.execute(
                    """INSERT INTO raw.quarantine SELECT left(md5(concat_ws('|', $1, $2, $3, $4, $5)), 16), $1, $2, $6, $3, $4, NULL, NULL, NULL,
                    $7, $5, 'open'""",
                    [self.source_id, delivery.sha256, delivery.part, reject.row_no, reject.raw_text, delivery.path, reject.reason],
                )

    def _part_sql(self, rule: CompiledRule | None) -> str:
        """`part`: the unpivoted column and the rule that took the row (the file inside an archive is added from the batch)."""
        pieces = [quote(self.source.unpivot.name)] if self.source.unpivot else []
        pieces += [literal(rule.label)] if rule else []
        return f"concat_ws(' · ', {', '.join(pieces)})" if len(pieces) > 1 else (pieces[0] if pieces else "''")

    # --- one rule ------------------------------------------------------------------------------------------------------------

    def _rule(self, compiled: CompiledSource, rule: CompiledRule) -> None:
        """Stage the rows the rule takes, send the bad ones to quarantine, insert what is new."""
        where = f"({self.skip}) IS NULL"
        extra = f", {self._part_sql(rule)} AS part"
        columns = {name: kind for name, kind in compiled.columns.items() if name not in ("_file", "_row")}
        self.con.execute("DROP TABLE IF EXISTS staged")
        try:
            careful = False
            select = rule.select(self.source_id, columns, careful=False, where=where, extra=extra)
            self.con.execute(f"CREATE TEMP TABLE staged AS {select}")
        except BAD_DATA:
            careful = True
            select = rule.select(self.source_id, columns, careful=True, where=where, extra=extra)
            self.con.execute(f"CREATE TEMP TABLE staged AS {select}")
        checks = [(check.column, check.rule) for check in rule.checks(careful)]
        if rule.is_keyed and not CANONICAL[rule.table].is_state:
            checks.append(("key", "the same key twice in one delivery, with different content"))
            self.con.execute(
                f"""UPDATE staged SET problem = {len(checks) - 1} FROM (SELECT row_key AS k, _d AS d FROM staged WHERE problem IS NULL
                GROUP BY ALL HAVING count(*) > 1 AND min(row_hash) <> max(row_hash)) twice WHERE row_key = k AND _d = d AND problem IS NULL"""
            )
        self._quarantine(rule, checks)
        self._insert(rule)
        for index, claims, bad, handed in self.con.execute(
            "SELECT _d, count(*), count(problem), max(handed_over_at) FROM staged GROUP BY _d"
        ).fetchall():
            delivery = self.deliveries[index]
            delivery.counts["claims"] += claims
            delivery.counts["rows_quarantined"] += bad
            if handed is not None and (delivery.handed_over_at is None or handed > delivery.handed_over_at):
                delivery.handed_over_at = handed
        self.con.execute("DROP TABLE staged")

    def _quarantine(self, rule: CompiledRule, checks: list[tuple[str, str]]) -> None:
        column = "CASE problem " + " ".join(f"WHEN {i} THEN {literal(name)}" for i, (name, _) in enumerate(checks)) + " END"
        words = "CASE problem " + " ".join(f"WHEN {i} THEN {literal(text)}" for i, (_, text) in enumerate(checks)) + " END"
        part = "concat_ws(' · ', nullif(batch.part, ''), staged.part)"
        self.con.execute(
            f"""INSERT INTO raw.quarantine
            SELECT left(md5(concat_ws('|', {literal(self.source_id)}, delivery, {part}, row_no)), 16), {literal(self.source_id)},
              delivery, path, {part}, row_no, {literal(rule.table)}, {column}, problem_value, {words}, raw_text, 'open'
            FROM staged JOIN batch USING (_d) WHERE problem IS NOT NULL"""
        )

    def _insert(self, rule: CompiledRule) -> None:
        """Insert the versions that are not there yet: of a state or a keyless row the earliest known, of a keyed fact each version."""
        table = CANONICAL[rule.table]
        target = f"raw.{quote(rule.table)}"
        facts = ", ".join(quote(name) for name in table.columns)
        if table.is_state or not rule.is_keyed:
            identity = ["row_hash"] if table.is_state else ["row_key"]
        else:
            identity = ["row_key", "row_hash", "known_at", "handed_over_at"]
        same = " AND ".join(f"t.{name} IS NOT DISTINCT FROM s.{name}" for name in identity)
        earlier = "(s.known_at, coalesce(s.handed_over_at, 'epoch')) < (t.known_at, coalesce(t.handed_over_at, 'epoch'))"
        lineage = ", ".join(name for name in LINEAGE if name not in ("source_id", "delivery", "part"))
        part = "concat_ws(' · ', nullif(batch.part, ''), s.part)"
        self.con.execute("DROP TABLE IF EXISTS fresh")
        self.con.execute(
            f"""CREATE TEMP TABLE fresh AS SELECT * FROM staged WHERE problem IS NULL QUALIFY row_number() OVER (
            PARTITION BY {", ".join(identity)} ORDER BY known_at, handed_over_at, _d, row_no, part) = 1"""
        )
        if len(identity) == 1:
            self.con.execute(
                f"""UPDATE {target} AS t SET known_at = s.known_at, handed_over_at = s.handed_over_at, delivery = batch.delivery,
                row_no = s.row_no, part = {part} FROM fresh s JOIN batch USING (_d)
                WHERE t.source_id = {literal(self.source_id)} AND {same} AND {earlier}"""
            )
        self.con.execute(f"""DELETE FROM fresh AS s USING {target} t WHERE t.source_id = {literal(self.source_id)} AND {same}""")
        self.con.execute(
            f"""INSERT INTO {target} ({facts}, {lineage}, source_id, delivery, part)
            SELECT {facts}, {lineage}, {literal(self.source_id)}, delivery, {part} FROM fresh s JOIN batch USING (_d)"""
        )
        good = self.con.execute("SELECT _d, count(*) FROM staged WHERE problem IS NULL GROUP BY _d").fetchall()
        fresh = dict(self.con.execute("SELECT _d, count(*) FROM fresh GROUP BY _d").fetchall())
        for index, rows in good:
            self.deliveries[index].counts["rows_loaded"] += fresh.get(index, 0)
            self.deliveries[index].counts["rows_repeated"] += rows - fresh.get(index, 0)
        self.con.execute("DROP TABLE fresh")


def _check_counts(delivery: Delivery) -> None:
    """The counting law: no row and no claim is ever unaccounted for."""
    c = delivery.counts
    if c["rows_in"] != c["rows_claimed"] + c["rows_skipped"] + c["rows_unclaimed"]:
        raise AssertionError(f"{delivery.path}: rows do not add up: {c}")
    if c["claims"] != c["rows_loaded"] + c["rows_quarantined"] + c["rows_repeated"]:
        raise AssertionError(f"{delivery.path}: claims do not add up: {c}")


def manifest_row(world: World, source_id: str, delivery: Delivery, seq: int) -> list[object]:
    """The delivery's line in raw.manifest, in the order of store.MANIFEST."""
    c = delivery.counts
    return [
        delivery.sha256, source_id, world.sources[source_id].silo, delivery.path, delivery.stem, delivery.bytes, seq,
        c["rows_in"], c["rows_skipped"], c["rows_unclaimed"], c["rows_claimed"], c["claims"], c["rows_loaded"], c["rows_quarantined"],
        c["rows_repeated"], json.dumps(delivery.skipped, sort_keys=True), delivery.handed_over_at,
        [f"{name} {kind}" for name, kind in delivery.columns.items()], delivery.drift or None, world.fingerprint(source_id),
    ]  # fmt: skip


Progress = Callable[[str], None]

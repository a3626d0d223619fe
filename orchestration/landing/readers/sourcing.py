"""Deliveries on disk to `src`: one relation of source rows with _d (which delivery), _file and
_row, long if the contract unpivots."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import duckdb
import pyarrow as pa

from orchestration.home.sql import literal, quote
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.privacy import hidden
from orchestration.landing.contract.world import Source, World, Xlsx
from orchestration.landing.readers.custom_formats import own_table
from orchestration.landing.readers.delimited import (
    csv_header,
    csv_needs_rewriting,
    csv_select,
    has_sign,
    patient_csv,
    rewrite_csv,
    swallowed_rows,
)
from orchestration.landing.readers.drops import partitions
from orchestration.landing.readers.json_document import json_table
from orchestration.landing.readers.rows import Reject, name_in_file
from orchestration.landing.readers.sheets import null_text, parquet_columns, workbook_table

#: What DuckDB raises when one cell or one line is bad, as opposed to the disk or ourselves.
BAD_DATA = (
    duckdb.ConversionException,
    duckdb.InvalidInputException,
    duckdb.OutOfRangeException,
    duckdb.DataError,
)
#: What is counted for every delivery; see store.MANIFEST for the laws between them.
COUNTS = (
    "rows_in",
    "rows_skipped",
    "rows_unclaimed",
    "rows_claimed",
    "claims",
    "rows_loaded",
    "rows_quarantined",
    "rows_repeated",
)


#: Which delivery and file a row read by DuckDB is of; names that no delivered column has, see
#: `is_reserved`.
PLACES = '(SELECT _path AS "b:source", _d, _file FROM batch)'


@dataclass
class Delivery:
    """Bytes on disk that wait to be loaded, and what is counted while they are."""

    sha256: str
    bytes: int
    path: str  # display name
    stem: str
    file: Path
    rows_above: int = 0  # titles and header, where rows of a table are read
    columns: dict[str, str] = field(default_factory=dict)  # as delivered
    table: pa.Table | None = None  # already parsed
    rejects: list[Reject] = field(default_factory=list)
    rewritten: Path | None = None
    drift: str = ""  # what changed since the delivery before, in words
    fault: str = ""  # why nothing can be read from the file
    is_broken: bool = False  # whatever the contract says
    # the start of a later delivery, torn in its last line: that one speaks for it
    is_cut: bool = False
    doubts: list[str] = field(default_factory=list)  # what in it can be read in two ways
    hidden: list[str] = field(
        default_factory=list
    )  # what of a sheet nobody sees, read all the same
    twice: dict[str, int] = field(default_factory=dict)  # by table, equal rows that count once
    # by table, rows that the file of this name once had between its days, and the first of them
    gone: dict[str, tuple[int, int]] = field(default_factory=dict)
    refused: str = ""  # why all of its rows go to quarantine
    # columns the source once had, read as empty
    missing: dict[str, str] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    skipped: dict[str, int] = field(default_factory=dict)
    handed_over_at: datetime | None = None
    seq: int | None = None  # its place among all deliveries, where the archive knows it

    @property
    def is_readable(self) -> bool:
        """Whether there are rows to read in it; a document of no objects has no columns."""
        return not (self.fault or self.is_cut) and bool(self.columns)

    @property
    def partitions(self) -> dict[str, str | None]:
        """What its folders say of all its rows; a column of the file of that name goes first."""
        own = {name.lower() for name in self.columns}
        said = partitions(self.path)
        return {name: value for name, value in said.items() if name.lower() not in own}

    @property
    def part(self) -> str:
        """The file inside an archive."""
        return self.path.partition("!")[2]

    def forget_counts(self) -> None:
        """Before a second attempt."""
        self.counts, self.skipped, self.handed_over_at = dict.fromkeys(COUNTS, 0), {}, None
        self.twice = {}

    def was_handed_over(self, at: datetime | None) -> None:
        """Keep the latest."""
        if at is not None and (self.handed_over_at is None or at > self.handed_over_at):
            self.handed_over_at = at


def look(con: duckdb.DuckDBPyConnection, source: Source, delivery: Delivery, scratch: Path) -> None:
    """Find the columns of one delivery, parsing what cannot be parsed by DuckDB itself;
    ContractError where it is unreadable."""
    form = source.format_of(delivery.path)
    delivery.rows_above = form.rows_above
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
        delivery.table, names, hidden = workbook_table(
            delivery.file, form.xlsx or form.ods or Xlsx(), source, delivery.path
        )
        delivery.hidden = hidden
        delivery.columns = dict.fromkeys(names, "VARCHAR")
    elif form.kind == "own":
        delivery.table, names = own_table(delivery.file, form.own or "", delivery.path)
        delivery.columns = dict.fromkeys(names, "VARCHAR")
    else:
        options_json = form.json_ or form.jsonl
        records = options_json.records if options_json else None
        delivery.table, names, delivery.rejects = json_table(
            delivery.file, records, source.nulls, delivery.path
        )
        delivery.columns = dict.fromkeys(names, "VARCHAR")


class SourceRows:
    """The rows of deliveries of one source with equal columns, as the relation `src` of this
    connection."""

    def __init__(
        self,
        con: duckdb.DuckDBPyConnection,
        world: World,
        source_id: str,
        deliveries: list[Delivery],
    ) -> None:
        self.con, self.world, self.source_id, self.deliveries = con, world, source_id, deliveries
        self.source = world.sources[source_id]
        self.form = self.source.format_of(deliveries[0].path)
        self.columns = dict(deliveries[0].columns)
        self.missing = deliveries[0].missing

    def read(self, limit: int | None = None) -> None:
        """`src`: the batch's rows (the first `limit` of them) with _d, _file and _row, long if the
        contract unpivots."""
        con = self.con
        for view in ("src", "src_wide", "src_all", "src_blank", "src_short", "src_inside"):
            con.execute(f"DROP VIEW IF EXISTS {view}")
        con.execute("DROP TABLE IF EXISTS src_rows; DROP TABLE IF EXISTS batch")
        con.execute(
            "CREATE TEMP TABLE batch (_d INTEGER, _path VARCHAR, _file VARCHAR, delivery VARCHAR, "
            "path VARCHAR, part VARCHAR, rows_above BIGINT, seq BIGINT)"
        )
        rows = [
            (i, str(d.rewritten or d.file), d.stem, d.sha256, d.path, d.part, d.rows_above, d.seq)
            for i, d in enumerate(self.deliveries)
        ]
        con.executemany("INSERT INTO batch VALUES (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        names = ", ".join(quote(name) for name in self.columns)
        if self.form.kind == "parquet":
            self._parquet_view()
        elif self.form.kind == "csv":
            self._csv_rows(names)
        else:
            self._arrow_rows(
                names, {i: d.table for i, d in enumerate(self.deliveries) if d.table is not None}
            )
        if self.deliveries[0].partitions:
            self._add_partitions()
        if self.missing:
            con.execute("ALTER VIEW src RENAME TO src_short")
            empty = ", ".join(
                f"CAST(NULL AS {kind}) AS {quote(name)}" for name, kind in self.missing.items()
            )
            con.execute(f"CREATE TEMP VIEW src AS SELECT *, {empty} FROM src_short")
            self.columns |= self.missing
        if self.source.fill_down:
            self._fill_down()
        if limit is not None:
            con.execute("ALTER VIEW src RENAME TO src_all")
            con.execute(f"CREATE TEMP VIEW src AS SELECT * FROM src_all LIMIT {limit}")
        if self.source.unpivot:
            self._unpivot()

    def hide(self, personal: Collection[str]) -> None:
        """`src_hashed`: `src` and, beside each column that says who bought, its keyed hash
        `h:column`; each customer is hashed once."""
        hashes, joins = "", ""
        for i, name in enumerate(sorted(personal)):
            text = f"CAST({quote(name)} AS VARCHAR)"
            self.con.execute(
                f"""CREATE OR REPLACE TEMP TABLE customers_{i} AS
                SELECT id, {hidden("id")} AS hash FROM (SELECT DISTINCT {text} AS id FROM src)
                    WHERE id IS NOT NULL"""
            )
            hashes += f", customers_{i}.hash AS {quote('h:' + name)}"
            joins += (
                f" LEFT JOIN customers_{i} ON customers_{i}.id = CAST(src.{quote(name)} AS VARCHAR)"
            )
        if personal:
            self.con.execute(
                f"CREATE OR REPLACE TEMP VIEW src_hashed AS SELECT src.*{hashes} FROM src{joins}"
            )

    def _parquet_view(self) -> None:
        files = "[" + ", ".join(literal(str(d.file)) for d in self.deliveries) + "]"
        columns = ", ".join(
            null_text(name, kind, self.source.nulls) for name, kind in self.columns.items()
        )
        source = "b:source"
        while source in (name_in_file(name).lower() for name in self.columns):
            source += "_"
        reader = f"read_parquet({files}, filename={literal(source)}, file_row_number=true)"
        if len(self.deliveries) == 1:
            only = self.deliveries[0]
            rows = (
                f"SELECT {columns}, 0 AS _d, {literal(only.stem)} AS _file, file_row_number + 1 AS "
                f"_row FROM {reader}"
            )
        else:
            # a value of a whole file, and no join: what it answers is asked once a vector
            stems = "[" + ", ".join(literal(d.stem) for d in self.deliveries) + "]"
            place = f"list_position({files}, {quote(source)})"
            ours = f"{place} - 1 AS _d, {stems}[{place}] AS _file, file_row_number + 1 AS _row"
            rows = f"SELECT {columns}, {ours} FROM {reader}"
        self.con.execute(f"CREATE TEMP VIEW src AS {rows}")

    def _csv_rows(self, names: str) -> None:
        options = self.form.csv_options
        files = [d.rewritten or d.file for d in self.deliveries]
        try:
            self.con.execute(
                "CREATE TEMP TABLE src_rows AS "
                f"{csv_select(files, list(self.columns), options, self.source.nulls)}"
            )
            is_whole = not self._lines_are_swallowed(files)
        except BAD_DATA:
            is_whole = False
        if not is_whole:
            self.con.execute("DROP TABLE IF EXISTS src_rows")
            tables = {}
            for i, delivery in enumerate(self.deliveries):
                tables[i], delivery.rejects = patient_csv(
                    files[i], list(self.columns), options, self.source.nulls
                )
            self._arrow_rows(names, tables)
            return
        if len(self.deliveries) == 1:
            only = self.deliveries[0]
            rows = (
                f'SELECT {names}, 0 AS _d, {literal(only.stem)} AS _file, "b:n" AS _row FROM '
                "src_rows"
            )
            self.con.execute(f"CREATE TEMP VIEW src AS {rows}")
        else:
            self.con.execute(
                f"""CREATE TEMP VIEW src AS SELECT {names}, _d, _file, "b:n" - "b:first" + 1 AS _row
                FROM src_rows JOIN {PLACES} USING ("b:source")
                JOIN (SELECT "b:source", min("b:n") AS "b:first" FROM src_rows
                    GROUP BY "b:source") USING ("b:source")"""
            )

    def _lines_are_swallowed(self, files: list[Path]) -> bool:
        """Whether a stray quote made several lines one row that DuckDB took for a good one, or a
        NUL hides in one."""
        options = self.form.csv_options
        if any(has_sign(file, "\0") for file in files):
            return True
        if not any(has_sign(file, options.quote) for file in files):
            return False
        condition = swallowed_rows(options.delimiter, len(self.columns), list(self.columns))
        return (
            self.con.execute(f"SELECT 1 FROM src_rows WHERE {condition} LIMIT 1").fetchone()
            is not None
        )

    def _arrow_rows(self, names: str, tables: dict[int, pa.Table]) -> None:
        columns = ", ".join(f"{quote(name)} VARCHAR" for name in self.columns)
        self.con.execute(f"CREATE TEMP TABLE src_rows ({columns}, _row BIGINT, _d INTEGER)")
        for i, table in tables.items():
            self.con.register("arrow_rows", table)
            self.con.execute(f"INSERT INTO src_rows BY NAME SELECT *, {i} AS _d FROM arrow_rows")
            self.con.unregister("arrow_rows")
        rows = (
            f"SELECT {names}, _d, _file, _row FROM src_rows JOIN (SELECT _d, _file FROM batch) "
            "USING (_d)"
        )
        self.con.execute(f"CREATE TEMP VIEW src AS {rows}")

    def _add_partitions(self) -> None:
        """What the folders say as columns, beside those of the files."""
        names = list(self.deliveries[0].partitions)
        values = []
        for name in names:
            cases = " ".join(
                f"WHEN {i} THEN {literal(value)}"
                for i, delivery in enumerate(self.deliveries)
                if (value := delivery.partitions[name]) is not None
            )
            said = f"CASE _d {cases} END" if cases else "CAST(NULL AS VARCHAR)"
            values.append(f"{said} AS {quote(name)}")
        self.con.execute("ALTER VIEW src RENAME TO src_inside")
        self.con.execute(f"CREATE TEMP VIEW src AS SELECT *, {', '.join(values)} FROM src_inside")
        self.columns |= dict.fromkeys(names, "VARCHAR")

    def _fill_down(self) -> None:
        """An empty cell of these columns repeats the one above it in its file, as merged cells and
        tidy people mean it."""
        by_lower = {name.lower(): name for name in self.columns}
        filled = []
        for name in self.source.fill_down:
            if name.lower() not in by_lower:
                where = self.world.where("sources", self.source_id, "fill_down")
                raise ContractError(
                    f"`{name}` is no column of source `{self.source_id}`", where=where
                )
            column = quote(by_lower[name.lower()])
            filled.append(
                f"last_value({column} IGNORE NULLS) OVER (PARTITION BY _d ORDER BY _row) AS "
                f"{column}"
            )
        self.con.execute("ALTER VIEW src RENAME TO src_blank")
        self.con.execute(
            f"CREATE TEMP VIEW src AS SELECT * REPLACE ({', '.join(filled)}) FROM src_blank"
        )

    def _unpivot(self) -> None:
        unpivot = self.source.unpivot
        if unpivot is None:
            return
        by_lower = {name.lower(): name for name in self.columns}
        for name in unpivot.keep:
            if name.lower() not in by_lower:
                raise ContractError(
                    f"`{name}` is no column of source `{self.source_id}`",
                    where=self.world.where("sources", self.source_id, "unpivot"),
                )
        kept = [by_lower[name.lower()] for name in unpivot.keep]
        folders = self.deliveries[0].partitions
        wide = [name for name in self.columns if name not in kept and name not in folders]
        if not wide:
            raise ContractError(
                "nothing is left to unpivot",
                where=self.world.where("sources", self.source_id, "unpivot"),
            )
        kinds = {self.columns[name] for name in wide}
        kind = kinds.pop() if len(kinds) == 1 else "VARCHAR"
        casts = ", ".join(f"CAST({quote(name)} AS {kind}) AS {quote(name)}" for name in wide)
        keeps = ", ".join(quote(name) for name in kept)
        listed = ", ".join(quote(name) for name in wide)
        self.con.execute("ALTER VIEW src RENAME TO src_wide")
        self.con.execute(
            f"CREATE TEMP VIEW src AS SELECT * FROM (SELECT {keeps}, _d, _file, _row, {casts} FROM "
            "src_wide)"
            f" UNPIVOT INCLUDE NULLS ({quote(unpivot.value)} FOR {quote(unpivot.name)} IN "
            f"({listed}))"
        )
        self.columns = {
            **{name: self.columns[name] for name in kept},
            unpivot.name: "VARCHAR",
            unpivot.value: kind,
        }

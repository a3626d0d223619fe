"""world.yml: how a company's bytes are read and which canonical rows they become. The platform
knows no company."""

from __future__ import annotations

import codecs
import hashlib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestration.landing.contract.canonical import CANONICAL, PERSONAL, STRICTER
from orchestration.landing.contract.column_glossary import into_schema
from orchestration.landing.contract.errors import ContractError
from orchestration.landing.contract.grammar_errors import as_contract_error
from orchestration.landing.contract.yaml_document import read_yaml

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[str, ...] = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
REVIEW_DAYS = {"daily": 1, "weekly": 7, "biweekly": 14, "monthly": 30}
Value = str | bool | int | float
#: Words of a rule that are not columns of its table.
RULE_WORDS = ("when", "known_after", "known_at", "several")


def _or_a_word(schema: dict[str, Any]) -> None:
    """A format without options is one word of its own grammar."""
    schema["anyOf"].insert(
        0, {"enum": sorted(set(Format.model_json_schema()["properties"]) - {"own"})}
    )


def _or_one(schema: dict[str, Any]) -> None:
    """A list of one may be written without its brackets."""
    del schema["items"], schema["type"]
    alone = {"type": ["string", "null"]}
    schema["anyOf"] = [alone, {"type": "array", "items": alone}]


Words = Annotated[list[str], Field(json_schema_extra=_or_one)]
Rules = Annotated[
    list[dict[str, dict[str, Value]]], Field(min_length=1, json_schema_extra=into_schema)
]


class Strict(BaseModel):
    """Every word of the grammar is known; a word that is not is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Plan(Strict):
    """The rhythm of planning: length of a period, when it is reviewed, and how long a replenishment
    takes where no terms are fed."""

    grain: Literal["day", "week", "month"]
    """Length of a period in which demand is counted and forecast."""
    week_starts_on: Weekday = "monday"
    """The weekday a week begins with."""
    review: Literal["daily", "weekly", "biweekly", "monthly"] | int = "weekly"
    """How often orders are decided: a word, or a number of days."""
    decide_on: Weekday | None = None
    """The weekday on which weekly orders are decided."""
    orders_leave_at: str = Field(default="12:00", pattern=r"^([01]\d|2[0-3]):[0-5]\d$")
    """Local time at which a day's orders leave; a supplier's earlier cut-off makes them the next
    day's."""
    lead_time_days: float | None = Field(default=None, ge=0, le=1000)
    """Days from order to goods, where no terms say it."""
    lead_time_periods: int | None = Field(default=None, ge=0, le=1000)
    """The same in whole periods, for worlds without a calendar."""
    absent_sales: Literal["zero", "missing"]
    """What a period without a row means: zero sold, or unknown."""
    whole_units: bool = False
    """Order whole units only."""

    @field_validator("orders_leave_at", mode="before")
    @classmethod
    def _written_as_a_time(cls, value: Any) -> Any:
        # YAML reads 11:30 as minutes
        return f"{value // 60:02d}:{value % 60:02d}" if isinstance(value, int) else value

    @model_validator(mode="after")
    def _one_lead_time(self) -> Plan:
        if self.lead_time_days is not None and self.lead_time_periods is not None:
            raise ValueError("give lead_time_days or lead_time_periods, not both")
        return self

    @property
    def review_days(self) -> int:
        """Days from one decision to the next."""
        return self.review if isinstance(self.review, int) else REVIEW_DAYS[self.review]


class Economics(Strict):
    """What a unit too many and a unit too few cost, where the world says so."""

    holding_per_year: float | None = Field(default=None, ge=0)
    """Cost of holding a unit for a year, as a share of its cost."""
    holding_per_unit_period: float | None = Field(default=None, ge=0)
    """Cost of holding one unit for one period, in the world's currency."""
    shortage_margin: float | None = Field(default=None, ge=0)
    """Cost of a unit short, as a share of its price."""
    shortage_per_unit: float | None = Field(default=None, ge=0)
    """Cost of one unit short, in the world's currency."""
    unmet: Literal["lost", "backlog"] = "lost"
    """Whether demand that is not met is lost or waits."""
    waiting_share: float = Field(default=1.0, ge=0, le=1)
    """With `unmet: backlog`, the share of unmet demand that waits; the rest is lost."""

    @model_validator(mode="after")
    def _who_waits(self) -> Economics:
        if "waiting_share" in self.model_fields_set and self.unmet != "backlog":
            raise ValueError("waiting_share says who waits: give it with `unmet: backlog`")
        return self


class Csv(Strict):
    """Delimited text. header: false or a list of names for files without one; skip_lines are
    dropped before anything is read."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    """What stands between two cells."""
    quote: str = Field(default='"', max_length=1)
    """What stands around a cell that has a delimiter in it; empty for none."""
    encoding: str = "utf-8"
    """How bytes are read as text, such as utf-8 or windows-1252."""
    newline: Literal["\n", "\r\n", "\r"] | None = None
    """What ends a line; left out, any of them."""
    header: list[str] | None = None
    """The columns' names, for files that have no such line."""
    skip_lines: int = Field(default=0, ge=0)
    """Lines above the header that are no data."""

    @field_validator("encoding")
    @classmethod
    def _known_encoding(cls, name: str) -> str:
        try:
            codecs.lookup(name)
        except LookupError:
            raise ValueError(f"no encoding is called {name!r}") from None
        return name


class Xlsx(Strict):
    """A workbook (.xlsx, .xlsm, .xlsb, .xls or .ods); a sheet's number counts those that are not
    hidden.

    header_row is 1-based; two rows make one name (a merged upper cell speaks for all below it).

    until: the table ends before the first row that has a cell of this text (such as a total);
    wholly blank rows are no rows.
    """

    sheet: str | int = 1
    """The sheet's name, or its number counted from 1."""
    header_row: int | list[int] = 1
    """The row or rows with the columns' names."""
    until: str | None = None
    """The table ends before the first row with a cell of this text."""


class Json(Strict):
    """Documents: `records` is the dotted way to the list of rows inside one document; without it a
    list, or one object a line.

    The way may lead through lists (`orders.line_items`): each row then also has what the documents
    around it say, such as its order's date; a row's own word goes first.
    """

    records: str | None = None
    """The dotted way to the list of rows."""


class Format(Strict):
    """How bytes become rows: exactly one of these."""

    csv: Csv | None = None
    """Delimited text."""
    tsv: Csv | None = None
    """Text delimited by tabs."""
    xlsx: Xlsx | None = None
    """A workbook of Excel."""
    ods: Xlsx | None = None
    """A workbook of OpenDocument."""
    parquet: Strict | None = None
    """Parquet, which says its types itself."""
    json_: Json | None = Field(default=None, alias="json")
    """One JSON document."""
    jsonl: Json | None = None
    """One JSON object a line."""
    own: str | None = None
    """The name of a reader that an extension offers."""

    @model_validator(mode="after")
    def _one(self) -> Format:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one format")
        return self

    @property
    def kind(self) -> Literal["csv", "xlsx", "parquet", "json", "own"]:
        """Which reader the format has; tsv is csv, ods is xlsx."""
        name = next(iter(self.model_fields_set))
        return {
            "csv": "csv",
            "tsv": "csv",
            "xlsx": "xlsx",
            "ods": "xlsx",
            "parquet": "parquet",
            "own": "own",
        }.get(name, "json")  # type: ignore[return-value]

    @property
    def csv_options(self) -> Csv:
        """How the CSV is read; a tsv's delimiter is the tab."""
        if self.tsv is not None:
            return self.tsv.model_copy(update={"delimiter": "\t"})
        return self.csv or Csv()

    @property
    def rows_above(self) -> int:
        """How many rows of a table stand above its first data row: titles and header. A document of
        records has none."""
        if self.kind == "csv":
            options = self.csv_options
            return options.skip_lines + (options.header is None)
        if self.kind == "xlsx":
            heads = (self.xlsx or self.ods or Xlsx()).header_row
            return max(heads) if isinstance(heads, list) else heads
        return 0


class Unpivot(Strict):
    """A wide sheet made long: `keep` stays, every other column becomes one row with its `name` and
    its `value`."""

    keep: list[str] = Field(min_length=1)
    """Columns that stay as they are."""
    name: str
    """What the new column with the old columns' names is called."""
    value: str
    """What the new column with their values is called."""


class Source(Strict):
    """One kind of hand-over of one system, and the canonical rows each of its rows becomes."""

    silo: str = Field(min_length=1)
    """The system it comes from, such as erp; a source asset in the graph."""
    path: str | None = None
    """Files, with * and ** as in a shell, below the world's folder; a folder `year=2024` is a
    column `year` of its files."""
    url: str | dict[str, Any] | None = None
    """An HTTP API to ask; a URL, or the words of Rest."""
    stream: str | dict[str, Any] | None = None
    """What is listened to: NATS, MQTT, a webhook or a watched folder."""
    database: str | dict[str, Any] | None = None
    """A SQL database to ask; a URL, or the words of Database."""
    format: Annotated[Format | None, Field(json_schema_extra=_or_a_word)] = None
    """How bytes become rows; left out, the file's extension says it."""
    nulls: Words = [""]
    """Texts that mean no value."""
    decimal: Literal[".", ","] = "."
    """The sign before a number's fraction."""
    thousands: Literal[".", ",", " ", "'"] | None = None
    """The sign between a number's thousands."""
    dates: Words = []
    """How dates are written, such as %d.%m.%Y; several are tried in turn."""
    unpivot: Unpivot | None = None
    """Make a wide sheet long."""
    key: list[str] | None = None
    """Columns that name a fact: the same key with other content is a new version."""
    identity: Literal["row"] | None = None
    """`row`: a row is its content, and equal rows are one."""
    known_after: str | None = None
    """How long after the event a row is known, such as 1 day."""
    known_at: str | None = None
    """An expression that says when a row was known."""
    delivered_at: str | None = None
    """An expression over file name, envelope or row that says when the delivery came."""
    skip: dict[str, str] = {}
    """Rows left out on purpose, by a name and a condition; they are counted."""
    drift: Literal["stop", "quarantine", "evolve"] = "stop"
    """What a column that comes, goes or changes does: stop, quarantine its rows, or follow."""
    fill_down: list[str] = []
    """Columns in which an empty cell repeats the one above."""
    optional: bool = False
    """Nothing there is no error; nor is it where the source has landed before."""
    into: Rules
    """Canonical tables, each with `column: expression`; `when` is the condition of a rule."""

    @field_validator("format", mode="before")
    @classmethod
    def _named_format(cls, value: Any) -> Any:
        return {value: {}} if isinstance(value, str) else value

    @field_validator("dates", "nulls", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        values = [value] if isinstance(value, str) else value
        return ["" if v is None else v for v in values] if isinstance(values, list) else values

    @model_validator(mode="after")
    def _whole(self) -> Source:
        came = [
            name
            for name in ("path", "url", "stream", "database")
            if getattr(self, name) is not None
        ]
        if len(came) != 1:
            raise ValueError("give exactly one of path, url, stream, database")
        if (self.key is None) == (self.identity is None):
            raise ValueError("give `key: [columns]` or `identity: row`, exactly one")
        if self.known_after is not None and self.known_at is not None:
            raise ValueError("give known_after or known_at, not both")
        if self.thousands is not None and self.thousands == self.decimal:
            raise ValueError("decimal and thousands cannot be the same sign")
        for rule in self.into:
            if len(rule) != 1:
                raise ValueError(f"a rule is one table with its columns, not {sorted(rule)}")
        return self

    @property
    def is_inbox(self) -> bool:
        """Handed over by a receiver as JSON lines in the inbox, not read from the data folder."""
        return self.path is None

    def format_of(self, name: str) -> Format:
        """The declared format, or the one the file's extension states."""
        if self.format is not None:
            return self.format
        if self.is_inbox:
            return Format(json=Json())
        extension = name.lower().removesuffix(".gz").rpartition(".")[2]
        known = {
            "csv": "csv",
            "tsv": "tsv",
            "txt": "csv",
            "xlsx": "xlsx",
            "xlsm": "xlsx",
            "xlsb": "xlsx",
            "xls": "xlsx",
            "ods": "ods",
            "parquet": "parquet",
            "json": "json",
            "jsonl": "jsonl",
        }
        if extension not in known:
            raise ContractError(
                f"cannot tell the format of `{name}`", mend="declare it: `format: csv`"
            )
        return Format.model_validate({known[extension]: {}})


class World(Strict):
    """One company as a contract. Load it with `World.load(folder)`; errors name the file and line,
    what is wrong and how to mend it."""

    world: str = Field(pattern=r"^[A-Za-z0-9_-]+$")
    """The company's name; a home belongs to one."""
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    """The currency of all money, as ISO 4217 writes it."""
    timezone: str = "UTC"
    """Where local days begin, such as Europe/London."""
    plan: Plan
    """The rhythm of planning."""
    economics: Economics | None = None
    """What a unit too many and a unit too few cost."""
    functions: dict[str, Value | dict[str, Value]] = {}
    """Named expressions and tables of values that rules may use."""
    sources: dict[str, Source] = Field(min_length=1)
    """Every hand-over, by a name of your own."""
    _file: str = PrivateAttr(default="world.yml")
    _lines: dict[tuple[str | int, ...], int] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> World:
        """Read and check `folder/world.yml` (or the file itself); raises ContractError at the first
        thing that cannot be right."""
        # the laws speak about worlds
        from orchestration.landing.contract.validation import check_world  # noqa: PLC0415

        path = folder / "world.yml" if folder.is_dir() else folder
        data, lines = read_yaml(path)
        try:
            world = cls.model_validate(data)
        except ValidationError as error:
            raise as_contract_error(error, cls, path.name, lines) from None
        world._file, world._lines = path.name, lines
        check_world(world)
        return world

    def where(self, *at: str | int) -> str:
        """`world.yml:12 sources.stock`: the place of an entry, the nearest one that has a line."""
        dotted = ".".join(str(part) for part in at)
        for end in range(len(at), -1, -1):
            if at[:end] in self._lines:
                return f"{self._file}:{self._lines[at[:end]]} {dotted}".rstrip()
        return f"{self._file} {dotted}".rstrip()

    @property
    def name(self) -> str:
        """What the company is called in homes, keys and reports."""
        return self.world

    def names_customers(self, source_id: str) -> bool:
        """Whether any rule of the source says who bought; what the platform hands over itself,
        which no contract has, names nobody."""
        return source_id in self.sources and any(
            PERSONAL & words.keys()
            for rule in self.sources[source_id].into
            for words in rule.values()
        )

    def fingerprint(self, source_id: str, key: str = "") -> str:
        """A hash of all that decides which rows a source's bytes become; when it changes, landing
        reads the archive anew.

        key: the fingerprint of the key that customers are hashed with; it counts where the source
        names customers.
        """
        shape = self.sources[source_id].model_dump(
            mode="json",
            by_alias=True,
            exclude={"silo", "path", "url", "stream", "database", "drift", "optional"},
        )
        rest: dict[str, Any] = {"timezone": self.timezone, "functions": self.functions}
        if self.names_customers(source_id):
            rest["customers"] = key
        tables = {table for rule in self.sources[source_id].into for table in rule}
        if stricter := {name: STRICTER[name] for name in sorted(tables & STRICTER.keys())}:
            rest["stricter"] = stricter
        return hashlib.sha256(json.dumps([shape, rest], sort_keys=True).encode()).hexdigest()


def known_tables() -> str:
    """The canonical tables, for messages."""
    return ", ".join(sorted(CANONICAL))

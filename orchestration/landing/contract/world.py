"""world.yml: how a company's bytes are read and which canonical rows they become. The platform
knows no company."""

from __future__ import annotations

import codecs
import hashlib
import json
import re
from pathlib import Path
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    ValidationError,
    field_validator,
    model_validator,
)

from orchestration.landing.contract.canonical import CANONICAL, PERSONAL
from orchestration.landing.contract.errors import ContractError
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
RULE_WORDS = ("when", "known_after", "known_at")


class Strict(BaseModel):
    """Every word of the grammar is known; a word that is not is a mistake, never ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Plan(Strict):
    """The rhythm of planning: length of a period, when it is reviewed, and how long a replenishment
    takes where no terms are fed."""

    grain: Literal["day", "week", "month"]
    week_starts_on: Weekday = "monday"
    review: Literal["daily", "weekly", "biweekly", "monthly"] | int = "weekly"
    decide_on: Weekday | None = None
    lead_time_days: float | None = Field(default=None, ge=0)
    lead_time_periods: int | None = Field(default=None, ge=0)
    absent_sales: Literal["zero", "missing"]
    whole_units: bool = False

    @model_validator(mode="after")
    def _one_lead_time(self) -> Plan:
        if self.lead_time_days is not None and self.lead_time_periods is not None:
            raise ValueError("give lead_time_days or lead_time_periods, not both")
        return self

    @property
    def review_days(self) -> int:
        return self.review if isinstance(self.review, int) else REVIEW_DAYS[self.review]


class Economics(Strict):
    """What a unit too many and a unit too few cost, where the world says so."""

    holding_per_year: float | None = Field(default=None, ge=0)  # share of unit cost
    holding_per_unit_period: float | None = Field(default=None, ge=0)  # money
    shortage_margin: float | None = Field(default=None, ge=0)  # share of price
    shortage_per_unit: float | None = Field(default=None, ge=0)  # money
    unmet: Literal["lost", "backlog"] = "lost"


class Csv(Strict):
    """Delimited text. header: false or a list of names for files without one; skip_lines are
    dropped before anything is read."""

    delimiter: str = Field(default=",", min_length=1, max_length=1)
    quote: str = Field(default='"', max_length=1)
    encoding: str = "utf-8"
    newline: Literal["\n", "\r\n", "\r"] | None = None
    header: list[str] | None = None
    skip_lines: int = Field(default=0, ge=0)

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
    header_row: int | list[int] = 1
    until: str | None = None


class Json(Strict):
    """Documents: `records` is the dotted way to the list of rows inside one document; without it a
    list, or one object a line.

    The way may lead through lists (`orders.line_items`): each row then also has what the documents
    around it say, such as its order's date; a row's own word goes first.
    """

    records: str | None = None


class Format(Strict):
    """How bytes become rows: exactly one of these."""

    csv: Csv | None = None
    tsv: Csv | None = None
    xlsx: Xlsx | None = None
    ods: Xlsx | None = None
    parquet: Strict | None = None
    json_: Json | None = Field(default=None, alias="json")
    jsonl: Json | None = None

    @model_validator(mode="after")
    def _one(self) -> Format:
        if len(self.model_fields_set) != 1:
            raise ValueError("give exactly one format")
        return self

    @property
    def kind(self) -> Literal["csv", "xlsx", "parquet", "json"]:
        name = next(iter(self.model_fields_set))
        return {
            "csv": "csv",
            "tsv": "csv",
            "xlsx": "xlsx",
            "ods": "xlsx",
            "parquet": "parquet",
        }.get(name, "json")  # type: ignore[return-value]

    @property
    def csv_options(self) -> Csv:
        if self.tsv is not None:
            return self.tsv.model_copy(update={"delimiter": "\t"})
        return self.csv or Csv()


class Unpivot(Strict):
    """A wide sheet made long: `keep` stays, every other column becomes one row with its `name` and
    its `value`."""

    keep: list[str] = Field(min_length=1)
    name: str
    value: str


class Source(Strict):
    """One kind of hand-over of one system, and the canonical rows each of its rows becomes."""

    silo: str = Field(min_length=1)
    path: str | None = None
    url: str | dict[str, Any] | None = None
    stream: str | dict[str, Any] | None = None
    database: str | dict[str, Any] | None = None
    format: Format | None = None
    nulls: list[str] = [""]
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = None
    dates: list[str] = []
    unpivot: Unpivot | None = None
    key: list[str] | None = None
    identity: Literal["row"] | None = None
    known_after: str | None = None
    known_at: str | None = None
    delivered_at: str | None = None
    skip: dict[str, str] = {}
    drift: Literal["stop", "quarantine", "evolve"] = "stop"
    fill_down: list[str] = []  # columns in which an empty cell repeats the one above
    # nothing there is no error; nor is it where the source has landed before
    optional: bool = False
    into: list[dict[str, dict[str, Value]]] = Field(min_length=1)

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
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    timezone: str = "UTC"
    plan: Plan
    economics: Economics | None = None
    functions: dict[str, Value | dict[str, Value]] = {}
    sources: dict[str, Source] = Field(min_length=1)
    _file: str = PrivateAttr(default="world.yml")
    _lines: dict[tuple[str | int, ...], int] = PrivateAttr(default_factory=dict)

    @classmethod
    def load(cls, folder: Path) -> World:
        """Read and check `folder/world.yml` (or the file itself); raises ContractError at the first
        thing that cannot be right."""
        # the laws speak about worlds
        from orchestration.landing.contract.laws import check_world  # noqa: PLC0415

        path = folder / "world.yml" if folder.is_dir() else folder
        data, lines = read_yaml(path)
        try:
            world = cls.model_validate(data)
        except ValidationError as error:
            raise as_contract_error(error, path.name, lines) from None
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
        return self.world

    def names_customers(self, source_id: str) -> bool:
        """Whether any rule of the source says who bought."""
        return any(
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
        return hashlib.sha256(json.dumps([shape, rest], sort_keys=True).encode()).hexdigest()


def as_contract_error(
    error: ValidationError, file: str, lines: dict[tuple[str | int, ...], int]
) -> ContractError:
    """The first thing that cannot be right in a file, with its line and field."""
    # a misspelt word explains a missing one
    first = min(error.errors(), key=lambda found: found["type"] != "extra_forbidden")
    at = tuple(part for part in first["loc"])
    line = next((lines[at[:end]] for end in range(len(at), -1, -1) if at[:end] in lines), 0)
    dotted = ".".join(str(part) for part in at)
    what = re.sub(r"^Value error, ", "", first["msg"])
    if first["type"] == "extra_forbidden":
        what = f"`{at[-1]}` is no word of the grammar here"
    more = len(error.errors()) - 1
    return ContractError(
        what, where=f"{file}:{line} {dotted}".rstrip(), mend=f"and {more} more" if more else ""
    )


def known_tables() -> str:
    return ", ".join(sorted(CANONICAL))

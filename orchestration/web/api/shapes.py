"""The words and numbers of the API: money as decimal text, days as ISO text, text that shows."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Path
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from models.procurement.currencies import coin, rounded
from models.procurement.documents import Event
from orchestration.app import snapshot_queries
from orchestration.web.request_context import LONGEST_TEXT

#: Text without controls and lone surrogates: what a log, a page and a database can all show.
SHOWS = r"^[^\x00-\x1f\x7f]*$"
#: Text that says something.
SAYS = r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
MONEY = r"^(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?$"
DAY = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"


def _text_only(value: object) -> object:
    """Days and times are written, never counted in seconds."""
    if value is not None and not isinstance(value, str):
        raise ValueError("write it as text, such as 2026-01-31")
    return value


def _whole(value: object) -> object:
    """A whole number however JSON writes it: 2 is 2.0."""
    is_whole = isinstance(value, float) and value.is_integer()
    return int(value) if isinstance(value, float) and is_whole else value


def _with_zone(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("say the zone: 2026-01-31T12:00:00Z")
    return value.astimezone(UTC).replace(tzinfo=None)


def _utc(value: datetime | str) -> datetime:
    """A naive UTC time, or its ISO text, with its zone."""
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment.replace(tzinfo=UTC)


def _a_day(value: str) -> date:
    try:
        return date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"'{value}' is no day of the calendar") from error


Reason = Annotated[
    str,
    Field(
        min_length=1, max_length=LONGEST_TEXT, pattern=SAYS, description="Why; the record keeps it."
    ),
]
Note = Annotated[str, Field(max_length=LONGEST_TEXT, pattern=SHOWS)]
Name = Annotated[str, Field(min_length=1, max_length=200, pattern=SAYS)]
Filter = Annotated[str, Field(max_length=200, pattern=SHOWS)]
Id = Annotated[str, Path(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.+-]+$")]
Money = Annotated[
    str, Field(pattern=MONEY, description="Money in the world's currency, as decimal text.")
]
#: After `Field(strict=True)`: a number of things.
WHOLE = BeforeValidator(_whole)
Units = Annotated[float, Field(strict=True, ge=0, le=1e12, allow_inf_nan=False)]
Day = Annotated[
    str,
    Field(pattern=DAY, json_schema_extra={"format": "date"}),
    AfterValidator(lambda value: _a_day(value).isoformat()),
]
#: A time of ours, which is UTC without saying so, as others read it.
Utc = Annotated[datetime, BeforeValidator(_utc)]
Instant = Annotated[datetime, BeforeValidator(_text_only), AfterValidator(_with_zone)]


class Body(BaseModel):
    """What is sent: nothing is taken that is not understood."""

    model_config = ConfigDict(extra="forbid")


class Age(BaseModel):
    """How old an answer is: the facts it stands on, their publication, and the last event."""

    world: str
    currency: str
    now: Utc
    version: int
    published_at: Utc
    events: int
    recorded_at: Utc | None

    @classmethod
    def of(cls, desk: Any) -> Age:
        """The age of what a desk shows."""
        said = vars(snapshot_queries.age(desk))
        return cls.model_validate(said | {"recorded_at": said["recorded_at"] or None})


class Happened(BaseModel):
    """One event of the record."""

    seq: int
    document_id: str
    version: int
    kind: str
    actor: str
    known_at: Utc
    recorded_at: Utc

    @classmethod
    def of(cls, event: Event) -> Happened:
        """An event without what it says, which its own resource shows."""
        return cls(**{name: getattr(event, name) for name in cls.model_fields})


class Done(BaseModel):
    """What a request did: the events it made, none where everything was known already."""

    events: list[Happened]


def money(amount: float) -> str:
    """An amount of money as it was written, in decimal text."""
    return format(Decimal(repr(float(amount))).normalize(), "f")


def cash(amount: float, currency: str) -> str:
    """A sum of money to the currency's smallest coin, in decimal text."""
    return str(rounded(Decimal(repr(float(amount))), coin(currency)))

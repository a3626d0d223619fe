"""Every text of the desk in the reader's language, and numbers and days as they write them.

English is written where it is shown; texts/XX.yml gives another language its words for it, text by
text. A test holds every catalogue to exactly the texts that pages use.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from math import isnan
from pathlib import Path
from typing import Any

import yaml
from babel import Locale
from babel.core import negotiate_locale
from babel.dates import format_date
from babel.numbers import format_decimal, format_percent

from models.labels import in_words
from orchestration.app.order_book import decimals

FOLDER = Path(__file__).parent / "texts"
#: English first; every other one is a file of `texts`.
LANGUAGES = ("en", *sorted(path.stem for path in FOLDER.glob("*.yml")))
#: What is not known is a dash, and never zero.
UNKNOWN = "–"


@cache
def catalogue(language: str) -> dict[str, str]:
    """A language's words for the English texts."""
    path = FOLDER / f"{language}.yml"
    return yaml.safe_load(path.read_text(encoding="utf-8")) if path.exists() else {}


@dataclass(frozen=True)
class Words:
    """One reader's language and way of writing numbers."""

    language: str
    locale: str

    @classmethod
    def of(cls, chosen: str | None, accepted: str) -> Words:
        """The chosen language, else the first that the browser asks for and we have."""
        languages = [part.split(";")[0].strip().replace("-", "_") for part in accepted.split(",")]
        known = [
            name for name in languages if name[:2] in LANGUAGES and name.replace("_", "").isalnum()
        ]
        language = chosen if chosen in LANGUAGES else (known[0][:2] if known else "en")
        regional = next((name for name in known if name[:2] == language), language)
        found = negotiate_locale([regional, language], _locales()) or "en"
        return cls(language, "en_GB" if found == "en" else found)

    def __call__(self, text: str, /, **values: Any) -> str:
        """A text in this language, its {places} filled."""
        translated = catalogue(self.language).get(text, text)
        return translated.format(**values) if values else translated

    def term(self, name: str) -> str:
        """A word of the data (`expected_demand`) as people say it."""
        plain = in_words(name)
        return self(plain[:1].upper() + plain[1:])

    def number(self, value: float | None, digits: int = 0) -> str:
        """A number with its thousands apart and so many decimals at most."""
        if value is None or isnan(value):
            return UNKNOWN
        rounded = round(float(value), digits) + 0.0
        return format_decimal(
            rounded, "#,##0" + ("." + "#" * digits if digits else ""), self.locale
        )

    def money(self, value: float | None, digits: int = 0) -> str:
        """An amount, without its currency: that stands at the head."""
        if value is None or isnan(value):
            return UNKNOWN
        pattern = "#,##0" + ("." + "0" * digits if digits else "")
        return format_decimal(round(float(value), digits) + 0.0, pattern, self.locale)

    def coins(self, value: float | None, currency: str) -> str:
        """A small amount to its currency's coin; one that no coin pays is said to be less."""
        digits = decimals(currency)
        least = 10.0**-digits
        if value is None or isnan(value) or value <= 0 or value >= least / 2:
            return self.money(value, digits)
        return f"< {self.money(least, digits)}"

    def lasting(self, seconds: float) -> str:
        """How long something took, in the largest unit it fills."""
        whole = round(seconds)
        if whole < 60:
            return f"{whole} s"
        if whole < 3600:
            return f"{whole // 60} min {whole % 60} s"
        if whole < 48 * 3600:
            return f"{whole // 3600} h {whole % 3600 // 60} min"
        return self("{n} days", n=self.number(whole / 86400, 1))

    def share(self, value: float | None, digits: int = 0) -> str:
        """A share of 1 in per cent."""
        if value is None or isnan(value):
            return UNKNOWN
        pattern = "#,##0" + ("." + "0" * digits if digits else "") + " %"
        return format_percent(value, pattern, self.locale)

    def signed(self, value: float | None, digits: int = 0) -> str:
        """A difference, with its sign."""
        said = self.number(value, digits)
        return f"+{said}" if value is not None and value > 0 and said != "0" else said

    def day(self, value: date | datetime | str | None) -> str:
        """A day, short."""
        if not value:
            return UNKNOWN
        said = date.fromisoformat(value[:10]) if isinstance(value, str) else value
        return format_date(said, "medium", self.locale)

    def short_day(self, value: date) -> str:
        """A day without its year."""
        return format_date(value, "d MMM", self.locale)

    def moment(self, value: datetime | str | None) -> str:
        """A time, to the minute, in UTC."""
        if not value:
            return UNKNOWN
        said = datetime.fromisoformat(value) if isinstance(value, str) else value
        day = format_date(said, "medium", self.locale)
        return f"{day}, {said:%H:%M}"


@cache
def in_its_own_words(language: str) -> str:
    """A language's name for itself."""
    return str(Locale.parse(language).get_display_name(language)).capitalize()


@cache
def _locales() -> list[str]:
    from babel.localedata import locale_identifiers  # noqa: PLC0415 - reads a folder of files

    return [name for name in locale_identifiers() if name[:2] in LANGUAGES]

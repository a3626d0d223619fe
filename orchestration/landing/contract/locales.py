"""Text to numbers, times and flags in the source's declared locale: never guessed, null where it
does not say what it should."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from string import ascii_letters

from orchestration.home.sql import literal
from orchestration.landing.contract.canonical import DAY, FLAG, NUMBER, PATH
from orchestration.landing.contract.world import Source

BLANKS = " \u00a0\u202f\u2009"
#: Signs that look like a blank, or like nothing: ids that differ in them look alike to everybody.
LOOK_LIKE_BLANKS = "\t\r\n\u00a0\u1680\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
LOOK_LIKE_NOTHING = "\u00ad\u200b\u200c\u200d\u2060\ufeff"
#: No system's id is longer; the ledger takes no longer ones, and a file's name neither.
LONGEST_ID = 200
#: An id as nearly all are, which needs neither cleaning nor a second look: printable ASCII, not too
#: long, without blanks around it, and neither `#` nor `:`, of which every failed formula has one.
PLAIN_ID = rf"""[!"$-9;-~]([ -"$-9;-~]{{0,{LONGEST_ID - 2}}}[!"$-9;-~])?"""
#: Words of a format by which an impossible day becomes another one, instead of failing.
LENIENT = ("%V", "%W", "%U", "%j")
#: Words of a format that are a year of four digits; the engine reads `25` by them as well, as the
#: year 25.
WHOLE_YEARS = ("%Y", "%G")
#: Words of a format that are the name of a month.
NAMED = ("%b", "%B")

#: What stands at the end of a sheet where an id would: a sum, which counts all above it once more.
SUMS = (
    "total",
    "totals",
    "grand total",
    "subtotal",
    "sub-total",
    "sum",
    "summe",
    "gesamt",
    "gesamtsumme",
    "zwischensumme",
    "insgesamt",
    "somme",
    "total général",
    "total general",
    "totale",
    "suma",
    "totaal",
)

_BEGIN_NO_SUM = "".join(
    letter for letter in ascii_letters if letter.lower() not in {word[0] for word in SUMS}
)
#: A plain id that is no word for a sum either: one with a digit or another sign that no such word
#: has, or of letters the first of which begins none.
PLAIN_NAME = (
    r"""([!"$-9;-~][ -"$-9;-~]*)?[!"$-,./0-9;-@\[-`{-~]([ -"$-9;-~]*[!"$-9;-~])?|"""
    rf"""[{_BEGIN_NO_SUM}]([A-Za-z -]*[A-Za-z-])?"""
)

MONTHS = (
    *("January", "February", "March", "April", "May", "June", "July", "August"),
    *("September", "October", "November", "December"),
)
#: How other languages say them, whole or short, without accents; the engine knows English alone.
#: No word is one month here and another there.
MONTH_WORDS = (
    "january januar jan janner januari janvier janv enero ene gennaio gen",
    "february februar feb februari fevrier fevr fev febrero febbraio",
    "march marz maerz mar mrz mars marzo maart mrt",
    "april apr avril avr abril abr aprile",
    "may mai mei mayo maggio mag",
    "june juni jun juin junio giugno giu",
    "july juli jul juillet juil julio luglio lug",
    "august aug augustus aout agosto ago",
    "september sep sept septembre septiembre settembre set",
    "october oktober okt oct octobre octubre ottobre ott",
    "november nov novembre noviembre",
    "december dezember dez dec decembre diciembre dicembre dic",
)


@dataclass(frozen=True)
class Locale:
    """How one source writes numbers and dates, and in which timezone its clocks run."""

    source: Source
    timezone: str

    @property
    def is_utc(self) -> bool:
        """Whether the source's clock is UTC, so that nothing is converted."""
        return self.timezone in ("UTC", "Etc/UTC")

    def cast(self, sql: str, kind: str, target: str) -> str:
        """A value of DuckDB type `kind` as the canonical type `target`; unreadable text becomes
        null."""
        if target == NUMBER:
            return self.number(sql) if kind == "VARCHAR" else f"CAST({sql} AS DOUBLE)"
        if target == DAY:
            return f"CAST({self.times(sql, kind)[0]} AS DATE)"
        if target == FLAG:
            return f"TRY_CAST({sql} AS BOOLEAN)"
        if target == PATH:
            return (
                f"CAST({sql} AS VARCHAR[])"
                if kind.endswith("]")
                else f"CASE WHEN {sql} IS NOT NULL THEN [CAST({sql} AS VARCHAR)] END"
            )
        return sql if kind == "VARCHAR" else f"CAST({sql} AS VARCHAR)"

    @staticmethod
    def is_plain(sql: str) -> str:
        """Whether text is an id that nothing need be done to."""
        return f"regexp_full_match({sql}, {literal(PLAIN_ID)})"

    @staticmethod
    def is_plain_name(sql: str) -> str:
        """Whether text is such an id and no word for a sum."""
        is_short = f"strlen({sql}) <= {LONGEST_ID}"
        return f"(regexp_full_match({sql}, {literal(PLAIN_NAME)}) AND {is_short})"

    @staticmethod
    def is_sum(sql: str) -> str:
        """Whether text is a word for a sum where an id would stand."""
        words = "|".join(map(re.escape, SUMS))
        return f"regexp_full_match({sql}, {literal(f'({words})[ :]*')}, 'i')"

    def name(self, sql: str, kind: str, is_plain: str = "") -> str:
        """An id without what cannot be seen: blanks around it, signs of no width, letters drawn by
        two signs. Nothing else is changed; what is left empty is null.

        is_plain: SQL that already knows it.
        """
        if kind != "VARCHAR":
            return f"CAST({sql} AS VARCHAR)"
        signs, blanks = LOOK_LIKE_BLANKS + LOOK_LIKE_NOTHING, " " * len(LOOK_LIKE_BLANKS)
        seen = f"translate({sql}, {literal(signs)}, {literal(blanks)})"
        clean = f"nullif(trim(nfc_normalize({seen})), '')"
        return f"CASE WHEN {is_plain or self.is_plain(sql)} THEN {sql} ELSE {clean} END"

    def number(self, sql: str) -> str:
        """SQL that reads text as a number by the source's signs; what is written otherwise becomes
        null."""
        decimal, thousands = self.source.decimal, self.source.thousands
        if decimal == "." and thousands is None:
            return f"CASE WHEN NOT contains({sql}, '_') THEN TRY_CAST({sql} AS DOUBLE) END"
        # exports write the blank that breaks no line
        signs = BLANKS if thousands == " " else thousands
        whole = rf"(\d+|\d{{1,3}}([{re.escape(signs)}]\d{{3}})+)" if signs else r"\d+"
        pad = rf"[\s{BLANKS}]*" if thousands == " " else r"\s*"
        shape = literal(rf"{pad}[-+]?{whole}({re.escape(decimal)}\d*)?([eE][-+]?\d+)?{pad}")
        plain = f"translate({sql}, {literal(signs)}, '')" if signs else sql
        plain = plain if decimal == "." else f"replace({plain}, {literal(decimal)}, '.')"
        return f"CASE WHEN regexp_full_match({sql}, {shape}) THEN TRY_CAST({plain} AS DOUBLE) END"

    def to_utc(self, local: str) -> str:
        """SQL that turns the source's local time into UTC, both without zone."""
        return (
            local
            if self.is_utc
            else f"timezone('UTC', timezone({literal(self.timezone)}, {local}))"
        )

    def to_local(self, utc: str) -> str:
        """SQL that turns UTC into the source's local time, both without zone."""
        return utc if self.is_utc else f"timezone({literal(self.timezone)}, timezone('UTC', {utc}))"

    def time(self, sql: str, kind: str) -> tuple[str, bool]:
        """A time as a timestamp without zone, and whether that is in UTC, else local. Text with an
        offset keeps its instant; text without one is local."""
        if "ZONE" in kind:
            return f"timezone('UTC', {sql})", True
        if kind != "VARCHAR":
            return f"CAST({sql} AS TIMESTAMP)", False
        if self.source.dates:
            return f"CAST({self._as_declared(sql)} AS TIMESTAMP)", False
        utc = _in_whole_years(f"timezone('UTC', TRY_CAST({sql} AS TIMESTAMPTZ))", sql)
        if self.is_utc:  # without an offset nothing has to be converted, which takes its time
            near = _in_whole_years(f"TRY_CAST({sql} AS TIMESTAMP)", sql)
            return f"CASE WHEN {_may_have_offset(sql)} THEN {utc} ELSE {near} END", True
        return utc, True

    def times(self, sql: str, kind: str) -> tuple[str, str]:
        """(local, UTC) timestamps without zone, as `time` reads them."""
        read, is_utc = self.time(sql, kind)
        return (self.to_local(read), read) if is_utc else (read, self.to_utc(read))

    def _as_declared(self, sql: str) -> str:
        """The time by the first format that fits. Week 53 of a year of 52, or day 366 of one of
        365, would be read as a day of the next year: such a day has to be written as it was."""
        forms = self.source.dates
        is_mixed = _has(WHOLE_YEARS, *forms) and _has(("%y",), *forms)
        if not is_mixed and not _has((*LENIENT, *NAMED), *forms):
            tried = f"try_strptime({sql}, [{', '.join(map(literal, forms))}])"
            return _in_whole_years(tried, sql) if _has(WHOLE_YEARS, *forms) else tried
        return f"coalesce({', '.join(by_format(sql, form) for form in forms)})"

    def built_in(self, name: str, parts: list[str], types: list[str]) -> str:
        """day(x): the local day. number(x): text as a number. isoweek(year, week): that week's
        Monday. Text that is there and says none fails, which spoils its row and says why."""
        if name == "isoweek":
            year, week = (f"CAST({part} AS INTEGER)" for part in parts)
            monday = f"(date_trunc('week', make_date({year}, 1, 4)) + to_days(7 * ({week} - 1)))"
            said = f"concat('no week ', {parts[1]}, ' of ', {year})"
            return (
                f"CASE WHEN isoyear({monday}) = {year} AND {week} = CAST({parts[1]} AS DOUBLE) "
                f"THEN {monday} WHEN {monday} IS NOT NULL THEN CAST({said} AS TIMESTAMP) END"
            )
        if name == "number":
            if types[0] != "VARCHAR":
                return f"CAST({parts[0]} AS DOUBLE)"
            return _or_fails(self.number(parts[0]), parts[0], "DOUBLE")
        found = f"CAST({self.times(parts[0], types[0])[0]} AS DATE)"
        return _or_fails(found, parts[0], "DATE") if types[0] == "VARCHAR" else found


def month_called(word: str) -> int:
    """The month, 1 to 12, of a word of any of the languages; 0 where it is none."""
    letters = unicodedata.normalize("NFKD", word.lower())
    plain = "".join(letter for letter in letters if not unicodedata.combining(letter))
    found = (k for k, words in enumerate(MONTH_WORDS, start=1) if plain in words.split())
    return next(found, 0)


def _has(words: Iterable[str], *forms: str) -> bool:
    return any(word in form for form in forms for word in words)


def by_format(sql: str, form: str) -> str:
    """The time that a text says by one format, null where it does not."""
    time = f"try_strptime({_in_english(sql, form)}, {literal(form)})"
    if _has(LENIENT, form):
        is_same = f"{_bare(f'strftime({time}, {literal(form)})')} = {_bare(sql)}"
        return f"CASE WHEN {is_same} THEN {time} END"
    return _in_whole_years(time, sql) if _has(WHOLE_YEARS, form) else time


def _in_english(sql: str, form: str) -> str:
    """A text with its month in English, as long as the format asks for."""
    if not _has(NAMED, form):
        return sql
    names = ", ".join(
        f"{literal(word)}: {literal(name if '%B' in form else name[:3])}"
        for name, words in zip(MONTHS, MONTH_WORDS, strict=True)
        for word in words.split()
    )
    said = rf"regexp_extract({sql}, '\p{{L}}{{3,}}')"
    found = f"map_extract_value(MAP {{{names}}}, lower(strip_accents({said})))"
    return f"replace({sql}, {said}, coalesce({found}, {said}))"


def _in_whole_years(time: str, text: str) -> str:
    """A time whose year was written by four digits."""
    return f"CASE WHEN {_is_whole_year(time, text)} THEN {time} END"


def _is_whole_year(time: str, text: str) -> str:
    return rf"({time} >= TIMESTAMP '1000-01-01' OR regexp_matches({text}, '\d{{4}}'))"


def is_exact(form: str) -> bool:
    """Whether texts that are none can be read by a format, so that `exact_time` is needed."""
    return _has((*LENIENT, *WHOLE_YEARS), form)


def exact_time(call: str, text: str, form: str) -> str:
    """SQL of a `strptime` whose format counts weeks or days of a year: a day its year does not
    have fails, instead of being one of the next year; so does a year of two digits where four are
    declared. form: the format, as SQL."""
    is_same = f"{_bare(f'strftime({call}, {form})')} = {_bare(text)}"
    fits = is_same if _has(LENIENT, form) else _is_whole_year(call, text)
    said = f"concat('no such day: ', {text})"
    fails = f"CAST({said} AS TIMESTAMP)"
    return f"CASE WHEN {fits} THEN {call} WHEN {call} IS NOT NULL THEN {fails} END"


def local_time(text: str) -> str:
    """SQL of a text cast to a time: one with an offset is the company's own time of its instant,
    as the session's zone is the company's, and not what its clock showed."""
    far = f"CAST(CAST({text} AS TIMESTAMPTZ) AS TIMESTAMP)"
    near = f"CAST({text} AS TIMESTAMP)"
    said = f"CAST(concat('no such day: ', {text}) AS TIMESTAMP)"
    return (
        f"CASE WHEN {_may_have_offset(text)} THEN {far} WHEN {_is_whole_year(near, text)} "
        f"THEN {near} WHEN {text} IS NOT NULL THEN {said} END"
    )


def _may_have_offset(text: str) -> str:
    """Whether a sign of one stands behind the ten of a date; a date in blanks may be taken for
    one."""
    signs = " OR ".join(f"contains(substr({text}, 11), '{sign}')" for sign in "+-Z")
    return f"length({text}) > 10 AND ({signs})"


def _or_fails(found: str, text: str, kind: str) -> str:
    """What was read of a text; one that is there and could not be read is a failing cast."""
    said = f"concat('unreadable: ', {text})"
    return f"coalesce({found}, CASE WHEN {text} IS NOT NULL THEN CAST({said} AS {kind}) END)"


def _bare(sql: str) -> str:
    """A written day without zeros and blanks: week 5 is week 05."""
    return f"translate({sql}, '0 ', '')"

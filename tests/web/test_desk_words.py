"""Every text of the desk is in every language, and numbers and days are the reader's own."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from models.labels import PLAIN, in_words
from models.replenishment.explain import part_in_words
from models.replenishment.implausible_lines import WAITING
from models.replenishment.plan_exceptions import _BAD, _DOUBTFUL, _PROMISED
from models.twin.counter_measures import MEASURES, NOTHING
from models.twin.what_if import TOTALS
from orchestration.app.scenario_answers import SHELF_WORDS, TRUST_WORDS
from orchestration.app.scenario_fit import OUTSIDE_WORDS
from orchestration.app.worklist import GOODS, MESSAGE, STATUSES, UNSENT
from orchestration.planning.rehearsal import REPLAYED
from orchestration.planning.replay import BASELINES
from orchestration.web.application import REFUSALS
from orchestration.web.rendering import DONE, PLACES
from orchestration.web.translation import LANGUAGES, Words, catalogue

#: What a study's page has a line for; `lost` is called otherwise where customers wait.
FIGURES = (*TOTALS, "fill_rate", "least_cash", "not_met_in_time")
ROOT = Path(__file__).parents[2]
WEB = ROOT / "orchestration/web"
IN_PAGES = re.compile(r"""\b_\((['"])((?:(?!\1)[^\\]|\\.)*)\1""")
IN_CODE = re.compile(r"""\bwords\(\s*"((?:[^"\\]|\\.)*)\"""")


def texts() -> set[str]:
    found = {m[1] for f in WEB.glob("templates/*.j2") for m in IN_PAGES.findall(f.read_text())}
    found |= {text for f in WEB.rglob("*.py") for text in IN_CODE.findall(f.read_text())}
    found |= {name for _, name, _ in PLACES} | set(DONE.values()) | set(TRUST_WORDS.values())
    found |= set(OUTSIDE_WORDS.values()) | {SHELF_WORDS}
    return found | {text for _, *both in REFUSALS.values() for text in both}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_a_language_has_every_text_with_the_same_places(language: str) -> None:
    known = catalogue(language)
    assert sorted(texts() - known.keys()) == []
    for text, said in known.items():
        places, others = (
            sorted(name for _, name, _, _ in Formatter().parse(one) if name) for one in (text, said)
        )
        assert places == others, text


def test_numbers_and_days_are_the_readers_own() -> None:
    english, german = Words("en", "en_GB"), Words("de", "de_DE")
    assert (english.money(1234.5, 2), german.money(1234.5, 2)) == ("1,234.50", "1.234,50")
    assert (english.share(0.123, 1), german.share(0.123, 1)) == ("12.3 %", "12,3 %")
    assert german.day(date(2026, 1, 5)) == "05.01.2026"
    assert (english.number(None), english.number(float("nan")), english.number(-0.4)) == (
        "–",
        "–",
        "0",
    )
    assert Words.of(None, "de-AT,de;q=0.9,en;q=0.5").locale == "de_AT"
    assert Words.of("en", "de-AT").language == "en"
    assert Words.of(None, "xx-yy, <script>").language == "en"


def test_a_reader_chooses_a_language_and_every_page_speaks_it(come: Any) -> None:
    anna = come("anna")
    anna.get("/language/de?next=/orders")
    assert 'lang="de"' in anna.page.text and "Bestellungen" in anna.page.text
    for path in ("/", "/exceptions", "/limits", "/audit", "/results", "/suppliers", "/overrides"):
        assert anna.get(path).status_code == 200, path
    assert (
        anna.client.get("/language/de?next=//evil.example", follow_redirects=False).headers[
            "location"
        ]
        == "/"
    )


def raised() -> set[str]:
    """Every kind of exception that any code raises: the word before its severity."""
    found = set[str]()
    for path in (*ROOT.glob("models/**/*.py"), *ROOT.glob("orchestration/**/*.py")):
        text = path.read_text(encoding="utf-8")
        found |= set(re.findall(r"'([a-z_]+)' as kind, '(?:error|warning)'", text))
        found |= set(re.findall(r'"([a-z]+_[a-z_]+)",\s*"(?:error|warning)"', text))
    found |= {*_BAD, *_PROMISED, *_DOUBTFUL, *WAITING, UNSENT, MESSAGE, GOODS, "deferred"}
    return found | {"supplier_refused", "supplier_late_or_short", "incomplete_data"}


@pytest.mark.parametrize("language", [name for name in LANGUAGES if name != "en"])
def test_a_language_has_every_kind_status_policy_and_measure(language: str) -> None:
    kinds = raised()
    assert len(kinds) > 25, "the kinds are found"
    codes = {*kinds, *STATUSES, *MEASURES, NOTHING, *REPLAYED, *BASELINES, *PLAIN, *FIGURES}
    plain, known = Words("en", "en_GB"), catalogue(language)
    assert sorted({plain.term(code) for code in codes} - known.keys()) == []


def test_a_policy_and_a_measure_have_plain_words() -> None:
    said = {code: in_words(code) for code in (*MEASURES, NOTHING, *REPLAYED)}
    assert len(set(said.values())) == len(said)
    assert not [words for words in said.values() if words.startswith(("eoq", "re ", "pre "))]


def test_a_part_that_takes_away_is_no_buffer_below_zero() -> None:
    for name in ("demand_noise", "lead_time_noise", "service_floor", "buffer"):
        added, taken = part_in_words(name, 1.0), part_in_words(name, -1.0)
        assert added != taken and "buffer" not in taken
        assert taken in catalogue("de")


@pytest.mark.parametrize(
    ("value", "currency", "said"),
    [(0.006, "GBP", "0.01"), (0.004, "GBP", "< 0.01"), (3.0, "JPY", "3"), (0.2, "JPY", "< 1")],
)
def test_a_small_amount_is_said_in_coins(value: float, currency: str, said: str) -> None:
    assert Words("en", "en_GB").coins(value, currency) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(12.4, "12 s"), (192.7, "3 min 13 s"), (7260, "2 h 1 min"), (216000, "2.5 days")],
)
def test_how_long_something_took_is_in_the_unit_it_fills(seconds: float, said: str) -> None:
    assert Words("en", "en_GB").lasting(seconds) == said

"""Every text of the desk is in every language, and numbers and days are the reader's own."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from string import Formatter
from typing import Any

import pytest

from orchestration.web.application import REFUSALS
from orchestration.web.rendering import DONE, PLACES
from orchestration.web.words import LANGUAGES, Words, catalogue

WEB = Path(__file__).parents[2] / "orchestration/web"
IN_PAGES = re.compile(r"""\b_\((['"])((?:(?!\1)[^\\]|\\.)*)\1""")
IN_CODE = re.compile(r"""\bwords\(\s*"((?:[^"\\]|\\.)*)\"""")


def texts() -> set[str]:
    found = {m[1] for f in WEB.glob("templates/*.j2") for m in IN_PAGES.findall(f.read_text())}
    found |= {text for f in WEB.rglob("*.py") for text in IN_CODE.findall(f.read_text())}
    found |= {name for _, name, _ in PLACES} | set(DONE.values())
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

"""The desk at the size of a large company: 30,490 items and places, thousands of lines, one page at
a time."""

from __future__ import annotations

import time
from typing import Any

import pytest

from orchestration.home import Home
from tests.web.small_home import LARGE_LINES, PLACES, make_large


@pytest.fixture
def large(home: Home) -> Home:
    make_large(home)
    return home


def test_thirty_thousand_places_are_shown_a_page_at_a_time(large: Home, come: Any) -> None:
    anna = come("anna", "approver")
    page = anna.get("/items?page=600&sort=item")
    assert page.status_code == 200 and f"of {PLACES:,}" in page.text
    assert page.text.count("data-row") == 50 and len(page.content) < 100_000
    assert f"{LARGE_LINES:,} lines worth" in anna.get("/orders").text
    slow = {}
    for path in ("/", "/items", "/items?q=item77", "/orders?page=3", "/exceptions", "/results"):
        anna.get(path)
        begun = time.perf_counter()
        answer = anna.get(path)
        slow[path] = time.perf_counter() - begun
        assert answer.status_code == 200 and len(answer.content) < 150_000, path
    assert max(slow.values()) < 5, (
        slow
    )  # bounds a page that reads everything, also where others run
    print(slow)


def test_a_page_reads_the_lines_of_the_ledger_once_between_two_events(
    come: Any, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    anna = come("anna", "approver")
    line = anna.get("/api/v1/orders").json()["rows"][0]["document_id"]
    pages = ("/", "/exceptions", "/orders", f"/orders/{line}", "/items/mug", "/limits")
    pages += ("/suppliers", "/results", "/audit", "/audit/worth")
    for path in pages:
        assert anna.get(path).status_code == 200

    def read(*_: object) -> None:
        raise AssertionError("thousands of lines are read for one page")

    monkeypatch.setattr("orchestration.ledger.Ledger.lines", read)
    for path in pages:
        assert anna.get(path).status_code == 200, path

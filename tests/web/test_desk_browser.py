"""A day at the desk in a real browser: sign in, work an exception, override with a reason, approve
with four eyes, change a limit, hear a supplier, read the audit. Skips where there is no browser."""

from __future__ import annotations

import os
import re
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe

from orchestration.home import Home
from orchestration.ledger import Ledger
from orchestration.ledger.audit import audit
from orchestration.planning import override_journal
from orchestration.web.application import create_app
from orchestration.web.people import People
from tests.web.browsing import PASSWORD

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="no chromium here: apt-get install chromium"
)
#: Where pictures of every page are kept, for whoever wants to look at them.
PICTURES = os.environ.get("STOCKHOUSE_SCREENSHOTS")
PAGES = (
    "/",
    "/exceptions",
    "/orders",
    "/items",
    "/items/mug?place=SHOP",
    "/overrides",
    "/limits",
    "/scenarios",
    "/scenarios/a",
    "/scenarios/calibration",
    "/suppliers",
    "/results",
    "/audit?all=1",
    "/audit/worth",
    "/people",
)
#: Both sizes and both lights; every pair of them only where pictures are wanted.
LOOKS = [(1280, "light"), (375, "dark"), *([(1280, "dark"), (375, "light")] if PICTURES else [])]
WIDER = "() => document.documentElement.scrollWidth - document.documentElement.clientWidth"
#: Texts of charts that stand out of their picture, where nothing scrolls to them.
BESIDE = """[...document.querySelectorAll('.chart svg text')].filter(text => {
    const [one, whole] = [text, text.closest('svg')].map(at => at.getBoundingClientRect());
    return one.width && (one.left < whole.left - 1 || one.right > whole.right + 1);
}).map(text => text.textContent)"""
#: What is cut or has to be scrolled sideways inside its own box.
CUT = """(names) => [...document.querySelectorAll(names)]
    .filter((box) => box.scrollWidth > box.clientWidth + 1)
    .map((box) => box.closest(".card")?.querySelector("h2")?.textContent ?? box.className)"""
#: An A4 page between its margins, in CSS pixels.
A4 = 718
#: What axe holds a page against: WCAG 2.2, levels A and AA.
LAWS = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def address(home: Home) -> Iterator[str]:
    """The desk as it is served, on a port of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    config = uvicorn.Config(create_app(home), port=port, log_level="error", server_header=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(10)


def enter(chromium: Any, address: str, home: Home, name: str, role: str, **kind: Any) -> Any:
    """Somebody's first visit: the link, a password, and they are in."""
    page = chromium.new_context(base_url=address, **kind).new_page()
    page.goto(f"/welcome/{People(home).invite(name, role, 'the test')}")
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/")
    return page


def test_a_day_at_the_desk(chromium: Any, address: str, home: Home) -> None:
    paul = enter(chromium, address, home, "paul", "planner")
    errors: list[str] = []
    paul.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)

    # sign out and in again
    paul.get_by_role("button", name="Sign out").click()
    paul.get_by_label("Name").fill("Paul ")
    paul.get_by_label("Password").fill(PASSWORD)
    paul.get_by_role("button", name="Sign in").click()
    paul.get_by_role("heading", name="Today").wait_for()

    # work the exception at the top, by the keyboard, and keep the list as one wants it
    paul.goto("/exceptions?q=mug")
    paul.get_by_text("Keep these filters").click()
    paul.get_by_label("Under the name").fill("Mugs")
    paul.get_by_role("button", name="Keep", exact=True).click()
    paul.goto("/exceptions")
    paul.get_by_role("link", name="Mugs", exact=True).click()
    paul.wait_for_url("**/exceptions?q=mug")
    paul.keyboard.press("j")
    paul.keyboard.press("x")
    assert paul.get_by_label("Tick Blue mug").is_checked()
    paul.keyboard.press("Enter")
    paul.get_by_role("heading", name="Blue mug").wait_for()
    paul.get_by_label("Why the record").fill("I ask the potter")
    paul.get_by_role("button", name="Record").click()
    paul.get_by_text("I ask the potter").wait_for()

    # override another item with a reason: a line that an override waits for is not approved
    paul.get_by_role("link", name="Override the plan").click()
    paul.goto("/overrides?item_id=cup&location_id=DC")
    paul.get_by_label("Value").fill("60")
    paul.get_by_label("Last day it holds").fill("2026-02-01")
    paul.get_by_label("Why the record").fill("the fair is in town")
    paul.get_by_role("button", name="Record").dblclick()
    paul.get_by_text("Recorded: the next plan follows it").wait_for()
    (entry,) = override_journal.entries(home)
    assert (entry.author, entry.override.scope["item_id"]) == ("paul", "cup")

    # four eyes: a planner finds no button, an approver approves, twice as fast as one should
    paul.goto("/orders?q=mug&kind=purchase")
    paul.get_by_role("link", name="Blue mug").first.click()
    assert paul.get_by_role("button", name="Approve").count() == 0
    anna = enter(chromium, address, home, "anna", "approver")
    anna.goto(paul.url)
    anna.get_by_label("Why, or a note").fill("agreed")
    anna.get_by_role("button", name="Approve").dblclick()
    anna.get_by_text("it goes out with the next sending").wait_for()
    anna.go_back()
    anna.goto("/orders")
    anna.get_by_role("button", name="Send what is approved").click()
    anna.get_by_text("What was approved is sent").wait_for()

    # a limit, previewed, proposed, and confirmed by somebody else
    paul.goto("/limits")
    paul.get_by_label("The machine, up to").fill("50")
    paul.get_by_role("button", name="Preview what it changes").click()
    paul.get_by_role("heading", name="What it would change").wait_for()
    paul.get_by_role("button", name="Propose").click()
    paul.get_by_text("once another person confirms").wait_for()
    anna.goto("/limits")
    anna.get_by_role("button", name="Confirm").click()
    anna.get_by_text("these limits are in force").wait_for()

    # the supplier answers on a page of its own
    paul.goto("/suppliers")
    paul.get_by_role("button", name="Make their page").click()
    link = paul.locator("code").first.inner_text()
    potter = chromium.new_context().new_page()
    potter.goto(link)
    potter.get_by_label("Units of line 1").fill("25")
    potter.get_by_role("button", name="Answer").click()
    potter.get_by_text("Thank you").wait_for()

    # and all of it stands in the record, once
    anna.goto("/audit")
    anna.get_by_text("agreed").first.wait_for()
    anna.get_by_role("link", name="Verify the whole record").click()
    anna.get_by_text("Every chain is intact").wait_for()
    ledger = Ledger.of(home)
    kinds = [event.kind for event in ledger.events()]
    (line,) = [d for d in ledger.lines() if d.item_id == "mug" and d.kind == "purchase"]
    sent, limits = ledger.mail(), ledger.limits()
    ledger.close()
    assert [kinds.count(kind) for kind in ("approved", "queued", "limits_set", "heard")] == [1] * 4
    assert sent == {"sent": 1} and limits.auto_amount == 50.0
    assert line.confirmed == 25.0
    assert audit(home.ledger_url) == [] and errors == []


def broken_laws(page: Any) -> list[tuple[str, str, str]]:
    """What axe finds on a page: how bad, which rule, and the first place."""
    found = Axe().run(page, options=LAWS).response["violations"]
    return [(one["impact"], one["id"], one["nodes"][0]["html"][:160]) for one in found]


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_can_be_read_on_a_laptop_and_a_phone_by_day_and_by_night(
    chromium: Any, address: str, home: Home, width: int, scheme: str
) -> None:
    size = {"width": width, "height": 860}
    page = enter(chromium, address, home, "ada", "admin", viewport=size, color_scheme=scheme)
    line = page.request.get("/api/v1/orders").json()["rows"][0]["document_id"]
    own = page.request.get("/suppliers").text()
    token = re.findall(r'name="token" value="([^"]+)"', own)[0]
    here = {"origin": address, "sec-fetch-site": "same-origin"}
    made = page.request.post("/suppliers/S1/link", form={"token": token}, headers=here)
    (link,) = re.findall(r"<code>http://[^/]+(/supplier/[^<]+)</code>", made.text())
    for path in (*PAGES, f"/orders/{line}", link, "/nowhere"):
        page.goto(path)
        if PICTURES:
            name = path.strip("/").replace("/", "-").split("?")[0][:40] or "today"
            page.screenshot(path=Path(PICTURES) / f"{name}-{width}-{scheme}.png", full_page=True)
        assert page.evaluate(WIDER) <= 0, f"{path} is wider than {width}"
        assert page.evaluate(CUT, ".chart") == [], path
        assert page.evaluate(BESIDE) == [], path
        assert broken_laws(page) == [], path
        assert page.locator("h1").count() == 1, path
        assert page.locator("html").get_attribute("lang") == "en"
    page.context.clear_cookies()
    page.goto("/sign-in")
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"sign-in-{width}-{scheme}.png")
    assert broken_laws(page) == []


@pytest.mark.parametrize(("media", "width"), [("print", A4), ("screen", 1366)])
def test_the_page_to_print_is_whole_on_paper_and_on_a_laptop(
    chromium: Any, address: str, home: Home, media: str, width: int
) -> None:
    size = {"width": width, "height": 860}
    page = enter(chromium, address, home, "eve", "viewer", viewport=size)
    page.emulate_media(media=media)
    for path in ("/results", "/items/mug", "/audit"):
        page.goto(path)
        assert page.evaluate(WIDER) <= 0, path
        assert page.evaluate(CUT, ".chart, .scroll, .card, .tile") == [], path


def test_the_desk_works_without_javascript(chromium: Any, address: str, home: Home) -> None:
    page = enter(chromium, address, home, "anna", "approver", java_script_enabled=False)
    page.goto("/orders?kind=purchase")
    page.get_by_label("Tick Blue mug").check()
    page.get_by_role("button", name="Approve the ticked").click()
    page.get_by_text("it goes out with the next sending").wait_for()


def test_the_report_of_a_study_sorts_its_tables_and_reaches_nothing_of_the_desk(
    chromium: Any, address: str, home: Home
) -> None:
    page = enter(chromium, address, home, "vera", "viewer")
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    page.goto("/scenarios/a")
    page.get_by_role("link", name="The whole report").click()
    page.get_by_role("heading", name="How long each node can be missing").wait_for()
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / "report.png", full_page=True)
    heading = page.locator("table.sorted th").first
    heading.get_by_role("button").click()
    assert heading.get_attribute("aria-sort") == "ascending" and errors == []
    assert page.evaluate("self.origin") == "null", "a stranger to the desk"

"""A week of a real small company at its desk, in a real browser: what is decided there is in the
outbox once and in the audit, an override moves the next plan by exactly itself until it expires,
and a supplier's answer changes the plan; of the sample company, a scenario becomes orders. Skips
where there is no browser."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from models.procurement.actors import REACTION
from orchestration.facts.published_snapshots import FILE
from orchestration.home import Home
from orchestration.ledger import Ledger
from orchestration.web.people import People
from tests.line.small_shop import DAYS, FIRST, write_world
from tests.web.browsing import PASSWORD
from tests.web.serving import Served
from tests.web.test_desk_browser import WIDER, broken_laws

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
PICTURES = os.environ.get("STOCKHOUSE_SCREENSHOTS")
pytestmark = [
    pytest.mark.line,
    pytest.mark.xdist_group("line"),
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt-get install chromium"),
]
Plan = dict[tuple[str, str], float]


def planned(home: Path, file: str = f"published/current/{FILE}") -> Plan:
    """What the newest plan orders of each item, and what the system alone would have ordered."""
    with duckdb.connect(str(home / "derived" / file), read_only=True) as con:
        rows = con.execute(
            "select item_id, quantity, system_quantity from decisions.order_lines"
        ).fetchall()
    ours = {(item, "plan"): float(units) for item, units, _ in rows}
    return ours | {(item, "system"): float(units) for item, _, units in rows}


@pytest.fixture(scope="module")
def weeks(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any]) -> Path:
    """A folder with the company after its first run: world and home."""
    base = tmp_path_factory.mktemp("weeks")
    command("run", write_world(base / "world", DAYS), "--home", base / "home")
    return base


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def enter(browser: Any, url: str, home: Home, name: str, role: str) -> Any:
    page = browser.new_context(base_url=url, locale="en-GB").new_page()
    page.goto(f"/welcome/{People(home).invite(name, role, 'the test')}")
    page.get_by_label("Choose a password").fill(PASSWORD)
    page.get_by_role("button", name="Begin").click()
    page.get_by_role("heading", name="Today").wait_for()
    return page


@pytest.mark.long
def test_a_week_at_the_desk_of_a_real_company(
    chromium: Any, weeks: Path, command: Callable[..., Any]
) -> None:
    place, world = weeks / "home", weeks / "world"
    home, served, before = Home.open(place), Served(place), planned(place)
    served.start()
    try:
        anna = enter(chromium, served.url, home, "anna", "approver")
        paul = enter(chromium, served.url, home, "paul", "planner")
        until = override(paul, before)
        order = approve_and_send(anna)
        refuse(chromium, paul)
        once_in_outbox_and_audit(place, order, command)
        again(anna, paul, home)
        set_budget(anna, paul)

        command("run", world, "--home", place)
        after = planned(place)
        assert after["cup", "plan"] == 7.0 != before["cup", "plan"]
        assert after["cup", "system"] == before["cup", "system"]
        others = {key for key in before if key[0] == "jug"}
        assert {key: after[key] for key in others} == {key: before[key] for key in others}
        assert budget(place) == (5_000.0, True), "what two people set is a fact of the next run"
        paul.goto("/items/cup")
        paul.get_by_text("the fair is in town").wait_for()
    finally:
        served.kill()
    write_world(world, (until - FIRST).days + 8)
    command("run", world, "--home", place, "--until", "replenish")
    over = planned(place, "warehouse.duckdb")
    assert over["cup", "plan"] == over["cup", "system"] != 7.0


def test_a_scenario_is_written_asked_and_its_advice_ordered_once(
    chromium: Any, sample_home: Path
) -> None:
    home, served, title = Home.open(sample_home), Served(sample_home), "Goods come five weeks late"
    ledger = Ledger.of(home)
    known = {line.document_id for line in ledger.lines()}
    served.start()
    try:
        anna = enter(chromium, served.url, home, "anna", "approver")
        write(anna, title)
        anna.get_by_label(title).check()
        anna.get_by_label("Fuel costs 10 % more").check()
        anna.get_by_label("Futures").fill("4")
        anna.get_by_role("button", name="Start").dblclick()
        done = anna.locator("#jobs .tag", has_text="Done")
        done.wait_for(timeout=300_000)  # the page looks again by itself
        anna.goto("/scenarios")
        anna.locator("a[data-row]").first.click()
        anna.get_by_role("heading", name="Side by side").wait_for()
        if PICTURES:
            anna.screenshot(path=f"{PICTURES}/study-of-two.png", full_page=True)
        anna.get_by_role("button", name="Order what is advised").first.dblclick()
        done.nth(1).wait_for(timeout=300_000)
        jobs = anna.locator("#jobs li").all_inner_texts()
        look(anna)
    finally:
        served.kill()
    fresh = [line for line in ledger.lines() if line.document_id not in known]
    ledger.close()
    said = re.findall(r"(\d+) lines?, (\d+) of them new", jobs[0])
    assert len(jobs) == 2 and said == [(str(len(fresh)),) * 2], jobs
    assert fresh and {line.stage for line in fresh} == {"requisition"}
    assert all("scenario goods_come_five_weeks_late" in line.intent_key for line in fresh)


def look(anna: Any) -> None:
    """Pages that only a real company fills keep to the laws of the others."""
    anna.goto("/orders?status=requisition")
    line = anna.locator("a[data-row]").first.get_attribute("href")
    known = "/items/22086/known?place=UK"
    for path in (
        "/",
        "/limits",
        "/results",
        "/audit",
        "/suppliers",
        known,
        line,
        f"{line}/lineage",
    ):
        anna.goto(path)
        if PICTURES:
            name = path.strip("/").split("?")[0].replace("/", "-") or "today"
            anna.screenshot(path=f"{PICTURES}/sample-{name}.png", full_page=True)
        assert broken_laws(anna) == [], path
        assert anna.evaluate(WIDER) <= 0, path


def write(anna: Any, title: str) -> None:
    """Put a scenario on the shelf."""
    anna.goto("/scenarios")
    anna.get_by_label("Title").fill(title)
    anna.get_by_label("What happens").select_option("lead_time_delay")
    anna.get_by_label("How much").fill("35")
    anna.get_by_label("From", exact=True).fill("2011-12-10")
    anna.get_by_label("Until", exact=True).fill("2012-01-31")
    anna.get_by_label("Where").fill("location_id=DC1")
    anna.get_by_role("button", name="Put it on the shelf").click()
    anna.get_by_text("It is on the shelf").wait_for()


def override(paul: Any, before: Plan) -> date:
    """Say on its card that seven cups are enough, for the days of this review."""
    until = FIRST + timedelta(days=DAYS + 5)
    paul.goto("/orders?q=cup")
    paul.locator("a[data-row]").first.click()
    paul.get_by_text("Change the quantity").click()
    paul.get_by_label("Units").fill("7")
    paul.get_by_label("Last day it holds").fill(until.isoformat())
    paul.get_by_label("Why", exact=True).first.fill("the fair is in town")
    paul.get_by_role("button", name="Record").first.dblclick()
    paul.get_by_text("the next plan orders what you said").wait_for()
    return until


def approve_and_send(anna: Any) -> str:
    """Approve the mugs, twice as fast as one should, and send them; returns the order's name."""
    anna.goto("/orders?q=mug")
    anna.locator("a[data-row]").first.click()
    anna.get_by_label("Why, or a note").fill("agreed by telephone")
    anna.get_by_role("button", name="Approve").dblclick()
    anna.get_by_text("it goes out with the next sending").wait_for()
    card = anna.url
    anna.goto("/orders")
    anna.get_by_role("button", name="Send what is approved").click()
    anna.get_by_text("What was approved is sent").wait_for()
    anna.goto(card)
    (order,) = re.findall(r"SHP\d+", anna.locator(".crumb").inner_text())
    return str(order)


def refuse(browser: Any, paul: Any) -> None:
    """The potter answers on a page of its own that no mug will come."""
    paul.goto("/suppliers")
    paul.get_by_role("button", name="Make their page").click()
    potter = browser.new_context(locale="en-GB").new_page()
    potter.goto(paul.locator("code").first.inner_text())
    potter.get_by_label("Units of line 1").fill("0")
    potter.get_by_label("A word about it").fill("the kiln is broken")
    if PICTURES:
        potter.screenshot(path=f"{PICTURES}/supplier-own-page.png", full_page=True)
    potter.get_by_role("button", name="Answer").dblclick()
    potter.get_by_text("your answer was received").wait_for()


def once_in_outbox_and_audit(place: Path, order: str, command: Callable[..., Any]) -> None:
    """The order lies in the outbox once, and the command line's audit finds the record whole."""
    (sent,) = (place / "state/partners/S1/out").iterdir()
    assert order in sent.name and sent.read_text("utf-8").count(order) >= 1
    said = command("audit", "--home", place).stdout
    assert "intact" in said or "adds up" in said, said


def set_budget(anna: Any, paul: Any) -> None:
    """One asks what a budget would change, and proposes it; the other confirms it."""
    paul.goto("/limits")
    paul.get_by_text("All limits of the plan, and a change of one").click()
    paul.locator("#f-limit").select_option("budget")
    paul.locator("#f-value").fill("5000")
    paul.get_by_role("button", name="Preview what it changes").last.click()
    paul.get_by_role("heading", name="What it would change in the plan").wait_for()
    paul.locator("#priced").get_by_role("button", name="Propose").click()
    paul.get_by_text("once another person confirms").wait_for()
    anna.goto("/limits")
    anna.get_by_role("button", name="Confirm").click()
    anna.get_by_text("these limits are in force").wait_for()


def budget(home: Path) -> tuple[float, bool]:
    """The budget of the newest plan, and whether its purchases kept to it."""
    with duckdb.connect(str(home / "derived/published/current" / FILE), read_only=True) as con:
        (found,) = con.execute(
            "select at_most, used <= at_most from decisions.limits where name = 'budget'"
        ).fetchall()
    return float(found[0]), found[1]


def again(anna: Any, paul: Any, home: Home) -> None:
    """The desk has planned once more: other mugs are wanted; all of it stands in the audit."""
    for _ in range(60):
        paul.goto("/orders?q=mug&status=requisition")
        if paul.locator("a[data-row]").count():
            break
        paul.wait_for_timeout(500)
    ledger = Ledger.of(home)
    lines = [line for line in ledger.lines() if line.item_id == "mug"]
    kinds = [event.kind for event in ledger.events()]
    ledger.close()
    assert [line.ended for line in lines] == ["refused", ""], lines
    assert lines[-1].proposer == REACTION and lines[-1].quantity > 0
    assert [kinds.count(kind) for kind in ("approved", "queued", "heard")] == [1, 1, 1]
    anna.goto("/audit")
    anna.get_by_text("agreed by telephone").wait_for()
    anna.goto("/exceptions")
    anna.locator(".tag", has_text="Supplier refused").first.wait_for()

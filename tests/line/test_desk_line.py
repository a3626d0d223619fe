"""What people do at the desk changes the plan: an override by exactly what it says and for as long,
a supplier's answer at once."""

from __future__ import annotations

import re
from collections import Counter
from datetime import date, timedelta
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from models.domain import OrderLine
from models.procurement.actors import REACTION
from orchestration.app import plan_limits, procurement
from orchestration.app.home_context import timeline_of, world_of
from orchestration.app.order_card import order_card
from orchestration.app.published_plan import Published
from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.ledger import Ledger
from orchestration.ledger.audit import audit
from orchestration.planning import override_journal
from orchestration.planning.plan import make_plan
from orchestration.web.application import create_app
from orchestration.web.people import People

ROOT, OWN = Path(__file__).resolve().parents[2], ("token", "intent")
pytestmark = [pytest.mark.line, pytest.mark.xdist_group("line")]


class Planner:
    """Somebody at the desk, by forms alone."""

    def __init__(self, home: Home) -> None:
        self.app = create_app(home)
        self.client = TestClient(self.app, base_url="http://127.0.0.1")
        secret = People(home).invite("ada", "admin", "the test")
        self.get(f"/welcome/{secret}")
        chosen = ("name", "ada"), ("password", "a sentence of mine")
        self.post(f"/welcome/{secret}", **dict(chosen))

    def get(self, path: str) -> str:
        answer = self.client.get(path)
        assert answer.status_code == 200, answer.text
        self.page = answer.text
        return self.page

    def post(self, path: str, **fields: Any) -> str:
        found = {
            name: [unescape(v) for v in re.findall(rf'name="{name}" value="([^"]*)"', self.page)]
            for name in ("token", "intent", "seen")
        }
        usual = {"token": found["token"][:1], "intent": found["intent"][:1], "seen": found["seen"]}
        answer = self.client.post(path, data=usual | fields)
        assert answer.status_code == 200, answer.text
        return answer.text


def planned(home: Home, on: date) -> dict[tuple[str, str, str], float]:
    """What the plan of a day would order, with the overrides in force on it."""
    timeline, world = timeline_of(home), world_of(home)
    with published_snapshots.current(home.published).connect() as con:
        read = Published.read(con, home, world, timeline)
    starts = [timeline.shift(timeline.origin, k) for k in range(read.paths.shape[2])]
    standing = override_journal.in_force(home, timeline.now_at, on)
    lines: list[OrderLine] = make_plan(read.inputs, read.paths, starts, read.policy, standing).lines
    return {(line.item_id, line.location_id, line.from_id): line.quantity for line in lines}


def test_an_override_changes_the_next_plan_by_exactly_that_until_it_expires(
    sample_home: Path,
) -> None:
    home = Home.open(sample_home)
    origin = timeline_of(home).origin
    last = origin + timedelta(days=6)
    before = planned(home, origin)
    item, place, source = max(
        (key for key in before if key[1] != "DC1"), key=lambda key: before[key]
    )
    ada = Planner(home)
    ada.get("/overrides")
    said = {"kind": "quantity", "value": "7", "item_id": item, "location_id": place}
    said |= {"expires_on": last.isoformat(), "reason": "the buyer knows better"}
    shown = ada.post("/overrides", to="preview", **said)
    assert "Nothing is recorded yet" in shown and not override_journal.entries(home)
    ada.post("/overrides", to="record", **said)
    after = planned(home, origin)
    assert after[item, place, source] == 7.0 != before[item, place, source]
    now = timeline_of(home).now_at
    assert override_journal.in_force(home, now, last) == override_journal.in_force(
        home, now, origin
    )
    assert planned(home, last + timedelta(days=1)) == before


def test_a_suppliers_answer_at_the_desk_changes_the_plan(sample_home: Path) -> None:
    home = Home.open(sample_home)
    ada = Planner(home)
    ledger = Ledger.of(home)
    bought = [d for d in ledger.lines() if d.kind == "purchase" and d.stage == "requisition"]
    asked = max(bought, key=lambda d: d.quantity * d.unit_cost)
    ada.get(f"/orders/{asked.document_id}")
    ada.post(f"/orders/{asked.document_id}/decide", to="approve")
    ada.get("/orders")
    ada.post("/send")
    ada.get("/suppliers")
    made = ada.post(f"/suppliers/{asked.from_id}/link")
    link = re.findall(r"<code>http://127.0.0.1(/supplier/[^<]+)</code>", made)[0]
    sent = next(d for d in ledger.lines() if d.document_id == asked.document_id)
    known = {d.document_id for d in ledger.lines()}
    ada.get(link)
    answer = {f"quantity.{sent.line_id}": "0", f"due.{sent.line_id}": sent.due_on[:10]}
    ada.post(link, order_id=sent.order_id, **answer)
    ada.app.state.room.jobs.wait()
    (job,) = ada.app.state.room.jobs.all()
    assert job.status == "done", job.message
    fresh = [d for d in ledger.lines() if d.document_id not in known]
    again = [d for d in fresh if d.item_id == asked.item_id and d.proposer == REACTION]
    assert again, [(d.item_id, d.location_id, d.quantity) for d in fresh]
    refused = next(d for d in ledger.lines() if d.document_id == asked.document_id)
    assert refused.ended == "refused"
    ledger.close()
    assert audit(home.ledger_url) == []
    cases = TestClient.get(ada.client, "/api/v1/exceptions?limit=500").json()["rows"]
    assert "supplier_refused" in {case["kind"] for case in cases}


def test_a_limit_of_the_plan_is_priced_before_it_counts(sample_home: Path) -> None:
    home = Home.open(sample_home)
    ada = Planner(home)
    ada.get("/limits")
    book = (ROOT / "sample_data/spreadsheets/planner_constraints.xlsx").read_bytes()
    fields = {name: re.findall(rf'name="{name}" value="([^"]*)"', ada.page)[0] for name in OWN}
    files = {"book": ("limits.xlsx", book)}
    same = ada.client.post("/limits/plan", data=fields | {"to": "preview"}, files=files)
    assert same.status_code == 422 and "hold already" in same.text
    half = ada.post("/limits/plan", to="preview", limit="budget", value="6000")
    now, then = (
        float(re.findall(rf"Purchases {when}</dt><dd>([^<]+)", half)[0].replace(",", ""))
        for when in ("now", "then")
    )
    assert then <= 6000 < now, "what is bought keeps to it"
    assert "lines change" in half and "Nothing is proposed yet" in half
    assert 'name="plan.budget all" value="6000.0"' in half
    with procurement.open_desk(home) as desk:
        assert plan_limits.preview(desk, {"budget all": 12_000.0}).changes.is_empty()
        assert desk.ledger.proposed_limits() is None
    ada.page = half
    ada.post("/limits/plan", to="propose", **{"plan.budget all": "6000.0"})
    assert "Budget" in ada.get("/limits") and "12,000" in ada.page and "6,000" in ada.page
    with procurement.open_desk(home) as desk:
        desk.ledger.confirm_limits("bob", desk.now)
        (said,) = (one for one in plan_limits.plan_limits(desk) if one.key == "budget all")
    assert (said.value, said.coming) == (12_000.0, 6_000.0)


def test_the_page_of_an_item_shows_what_a_model_knew_of_it_and_nothing_later(
    sample_home: Path,
) -> None:
    home = Home.open(sample_home)
    ada = Planner(home)
    with home.connect(read_only=True) as con:
        (told,) = con.execute(
            "select max_by(demand_lag_1, event_at) from features.feat_demand where item_id = '22086' "
            "and location_id = 'UK' and known_at <= timestamp '2011-11-02'"
        ).fetchall()[0]

    def shown(day: str) -> str:
        page = ada.get(f"/items/22086/known?place=UK&day={day}")
        return re.findall(r'demand_lag_1</td><td class="n">([^<]+)<', page)[0]

    assert shown("2011-11-01") == f"{told:,.0f}" != shown("2011-12-01")
    assert "the last closed period" in ada.get("/items/22086/known?place=UK")
    late = ada.client.get("/items/22086/known?place=UK&day=2011-12-20")
    assert late.status_code == 422 and "not over yet" in late.text
    assert ada.client.get("/items/22086/known?place=NOWHERE").status_code == 404


def test_every_link_of_the_desk_leads_somewhere(sample_home: Path) -> None:
    home = Home.open(sample_home)
    ada = Planner(home)
    ada.get("/scenarios")
    ada.post("/scenarios/run", scenario="fuel_up_10_percent", futures="2")
    ada.app.state.room.jobs.wait()
    assert [job.status for job in ada.app.state.room.jobs.all()] == ["done"]
    seen: Counter[str] = Counter()  # by what the address looks like, a few of each
    waiting, visited = ["/"], {"/"}
    while waiting:
        path = waiting.pop()
        answer = ada.client.get(path)
        assert answer.status_code == 200, (path, answer.status_code)
        if "text/html" not in answer.headers["content-type"]:
            continue
        for link in re.findall(r'(?:href|action)="(/[^"#]*)', answer.text):
            found = unescape(link)
            kind = re.sub(r"=[^&]*", "=", re.sub(r"(?<=/)[^/?]*[0-9][^/?]*", "*", found))
            if found in visited or seen[kind] >= 4 or f'action="{link}"' in answer.text:
                continue
            seen[kind] += 1
            visited.add(found)
            waiting.append(found)
    assert {"/scenarios/*", "/orders/*", "/items/*?place="} <= seen.keys(), sorted(seen)


def test_the_chart_of_an_order_stands_on_the_side_of_its_risk(sample_run: Any) -> None:
    """Stock is expected below zero on the due day only where running out is likelier than not."""
    with procurement.open_desk(Home.open(sample_run[0])) as desk:
        bought = [line for line in desk.ledger.lines() if line.kind == "purchase"]
        for line in bought[::8]:
            card = order_card(desk, line.document_id)
            due = [row for row in card.chart.stock if row["day"].isoformat() >= line.due_on[:10]]
            if due and card.target:
                risk = card.target["stock_out_risk_without"]
                assert risk >= 0.5 or due[0]["without"] >= 0, line.document_id

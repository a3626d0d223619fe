"""How fast orders move: 10,000 lines from plan to outbox, a fold of a million events, and from an
event to a new proposal.

`python tests/benchmarks/bench_procurement.py [LINES] [EVENTS] [HOME]`; targets: 10 s each on
SQLite, 60 s from event to proposal. HOME is a home that `stockhouse run sample_data` has finished;
without it the line is run first, which takes minutes. A copy is measured.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from datetime import date, datetime
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from models.domain import OrderLine
from models.procurement.documents import Event, fold
from orchestration.ledger import Ledger, Partner

ROOT = Path(__file__).resolve().parents[2]
NOW, DAY, DUE = datetime(2026, 1, 5), date(2026, 1, 5), date(2026, 1, 20)
SUPPLIERS = 200


def plan_to_outbox(lines: int, folder: Path) -> dict[str, float]:
    """Seconds to propose, approve and write the messages of a plan; nothing is sent."""
    plan = [
        OrderLine(
            "w",
            "purchase",
            f"item {i}",
            "DC",
            f"S{i % SUPPLIERS}",
            10.0 + i % 7,
            DAY,
            DUE,
            2.5,
            {"expected_demand": 10.0 + i % 7},
            "need",
        )
        for i in range(lines)
    ]
    partners = {f"S{i}": Partner(f"S{i}", str(folder / f"S{i}"), "GBP") for i in range(SUPPLIERS)}
    ledger = Ledger.open(f"sqlite:///{folder / 'ledger.sqlite'}")
    marks, busy = [time.perf_counter()], time.process_time()
    ledger.propose(plan, "bench", NOW)
    marks.append(time.perf_counter())
    approved = ledger.approve_within_limits(NOW)
    marks.append(time.perf_counter())
    queued = ledger.queue(partners, NOW)
    marks.append(time.perf_counter())
    busy = time.process_time() - busy
    again = ledger.propose(plan, "bench again", NOW)
    marks.append(time.perf_counter())
    sent = ledger.send(partners, NOW)
    marks.append(time.perf_counter())
    findings = ledger.audit()
    marks.append(time.perf_counter())
    ledger.close()
    assert (len(approved.approved), queued.queued, again.kept, sent.sent, findings) == (
        lines,
        SUPPLIERS,
        lines,
        SUPPLIERS,
        [],
    )
    names = ("propose", "approve", "queue", "same plan again", "send 200 files", "audit")
    taken = dict(zip(names, (later - sooner for sooner, later in pairwise(marks)), strict=True))
    return {
        "plan to outbox": taken["propose"] + taken["approve"] + taken["queue"],
        "processor time of it": busy,
    } | taken


def fold_events(count: int) -> tuple[float, float]:
    """Seconds (wall, processor) to read that many events from their stored text and fold them, five
    to a document."""
    at = "2026-01-05T00:00:00.000000"
    need = {
        "world": "w",
        "kind": "purchase",
        "intent_key": "w|purchase|mug|DC|2026-01-05",
        "item_id": "mug",
        "location_id": "DC",
        "from_id": "S1",
        "quantity": 10.0,
        "due_on": "2026-01-20",
        "unit_cost": 2.5,
        "review_period": "2026-01-05",
        "run_id": "r",
        "reason": "demand over the window less the stock position",
        "parts": {"expected_demand": 10.0},
    }
    happened = [
        ("requested", need),
        ("approved", {"order_id": "SHP1", "line_id": "1", "level": 0, "reasons": []}),
        (
            "queued",
            {
                "message_id": 1,
                "control": 1,
                "revision": 0,
                "sha256": "0" * 64,
                "document_type": "850",
            },
        ),
        ("sent", {"message_id": 1, "revision": 0, "attempts": 1}),
        (
            "acknowledged",
            {
                "code": "IA",
                "quantity": 10.0,
                "unit_cost": 2.5,
                "due_on": "2026-01-20",
                "control": 7,
            },
        ),
    ]
    texts = [(kind, json.dumps(payload)) for kind, payload in happened]
    rows = [
        (i, f"R{i // 5}", i % 5 + 1, texts[i % 5][0], "a", at, at, texts[i % 5][1])
        for i in range(count)
    ]
    started, busy = time.perf_counter(), time.process_time()
    documents = fold(Event(*row[:7], json.loads(row[7])) for row in rows)
    taken = time.perf_counter() - started, time.process_time() - busy
    assert len(documents) == count // 5
    assert all(document.stage == "acknowledged" for document in documents.values())
    return taken


#: What happens to the sample company in the week before Christmas.
EVENTS = {
    "seasonal items surge on the Continent": {
        "kind": "demand_factor",
        "scope": {"location_id": "CONT", "category": "Seasonal"},
        "factor": 1.5,
    },
    "the largest overseas supplier is 21 days late": {
        "kind": "lead_time_delay",
        "scope": {"supplier_id": "S12"},
        "days": 21,
    },
    "the only distribution centre is closed for ten days": {
        "kind": "location_closed",
        "scope": {"location_id": "DC1"},
    },
}


def sample_home(home: Path) -> Path:
    """The sample company after one run of the line, which takes minutes."""
    stockhouse = str(Path(sys.executable).parent / "stockhouse")
    command = [stockhouse, "run", "sample_data", "--home", str(home)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return home


def event_to_proposal(home: Path, said: dict[str, object]) -> tuple[float, int, int]:
    """Seconds from receiving an event to its new proposal in the ledger, the items it concerns, and
    the faster ways it found."""
    from orchestration.app.event_replan import replan
    from orchestration.home import Home
    from orchestration.intake.inbox import Inbox, Message
    from orchestration.landing import World

    with tempfile.TemporaryDirectory() as folder:
        place = Home(Path(shutil.copytree(home, Path(folder) / "home", symlinks=True)))
        with Inbox(place.inbox) as inbox:
            inbox.add(
                "events",
                [
                    Message(
                        "1",
                        json.dumps(
                            {"starts_on": "2011-12-01", "ends_on": "2011-12-20", **said}
                        ).encode(),
                    )
                ],
            )
        done = replan(place, World.load(ROOT / "sample_data"))
    assert done is not None
    assert done.seconds is not None
    return done.seconds, done.items, len(done.rescues)


if __name__ == "__main__":
    lines = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    count = int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000
    with tempfile.TemporaryDirectory() as folder:
        for name, seconds in plan_to_outbox(lines, Path(folder)).items():
            print(f"{name:>20} {seconds:8.2f} s   ({lines:,} lines, SQLite)")
    wall, busy = fold_events(count)
    print(f"{'fold':>20} {wall:8.2f} s   ({count:,} events; {busy:.2f} s of processor time)")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(sys.argv[3]) if len(sys.argv) > 3 else sample_home(Path(folder) / "home")
        for name, said in EVENTS.items():
            seconds, items, faster = event_to_proposal(home, said)
            print(
                f"{'to a proposal':>20} {seconds:8.2f} s   ({name}: {items} items, {faster} faster "
                "ways)"
            )

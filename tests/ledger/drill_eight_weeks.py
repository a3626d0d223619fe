"""The loop on the sample company: weeks on end without a hand, orders sent, answered, received
late, learned from, the next plan changed.

`python tests/ledger/drill_eight_weeks.py [SUPPLIERS] [WEEKS] [FOLDER]` plays the company's last
weeks again: its books are cut on 14 October 2011, its customers go on buying as they did, and from
then on everything it buys and moves is what the line orders. Suppliers and the carrier are robots
behind the folders of the outbox; the first supplier delivers ten days late. SUPPLIERS (S01,S02 by
default, `all` for the whole company) says whose items are played. Exits non-zero where the loop
does not close.
"""

from __future__ import annotations

import csv
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import yaml

from models.procurement import x12
from models.procurement.approval import Limits
from orchestration.app import procurement
from orchestration.facts import published_snapshots
from orchestration.home import Home
from orchestration.ledger import Ledger

ROOT = Path(__file__).resolve().parents[2]
SAMPLE = ROOT / "sample_data"
START, LATE = date(2011, 10, 14), timedelta(days=10)
#: Books of the company that end on START; their time column.
CUT = {
    "erp/purchase_orders.csv": "ordered_at",
    "erp/transfers/dispatched.csv": "dispatched_at",
    "erp/transfers/received.csv": "dispatched_at",
    "erp/adjustments.csv": "booked_at",
}
ITEM = {
    "erp/items.csv": "item",
    "erp/assortment.csv": "item",
    "erp/price_list.csv": "item",
    "erp/receipts.csv": "item",
}


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def write(path: Path, rows: list[dict[str, str]], header: list[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.DictWriter(file, header, lineterminator="\n")
        table.writeheader()
        table.writerows(rows)


def company(folder: Path, suppliers: set[str]) -> Path:
    """The sample with the items of these suppliers alone (all where none is named), its books cut
    on START and no count after it."""
    shutil.copytree(SAMPLE, folder, ignore=shutil.ignore_patterns("generate*", "*.md", "scenarios"))
    items = {
        row["item"]
        for row in rows_of(SAMPLE / "erp/items.csv")
        if not suppliers or row["main_supplier"] in suppliers
    }
    for name in CUT | ITEM:
        rows = rows_of(SAMPLE / name)
        header = list(rows[0])
        rows = [
            row
            for row in rows
            if row["item"] in items and (name not in CUT or row[CUT[name]] < START.isoformat())
        ]
        if name == "erp/receipts.csv":
            known = {
                (row["order"], row["line"]) for row in rows_of(folder / "erp/purchase_orders.csv")
            }
            rows = [row for row in rows if (row["order"], row["line"]) in known]
        write(folder / name, rows, header)
    for path in sorted((folder / "erp/invoices").glob("*.csv")):
        rows = rows_of(path)
        write(
            path, [row for row in rows if row["StockCode"].strip().upper() in items], list(rows[0])
        )
    for path in sorted((folder / "erp/stock_counts").glob("*.csv")):
        if path.stem >= START.isoformat():
            path.unlink()
            continue
        rows = rows_of(path)
        write(path, [row for row in rows if row["item"] in items], list(rows[0]))
    shipments = folder / "logistics/shipments.jsonl"
    said = [json.loads(line) for line in shipments.read_text(encoding="utf-8").splitlines()]
    kept = [
        row
        for row in said
        if row["recorded_at"] < START.isoformat() and (row["item"] is None or row["item"] in items)
    ]
    shipments.write_text("".join(json.dumps(row) + "\n" for row in kept), encoding="utf-8")
    (folder / "spreadsheets/stock_count_2011-12-09.xlsx").unlink()
    world = yaml.safe_load((SAMPLE / "world.yml").read_text(encoding="utf-8"))
    del world["sources"]["stock_count"]
    (folder / "world.yml").write_text(
        yaml.safe_dump(world, sort_keys=False, allow_unicode=True), encoding="utf-8"
    )
    return folder


@dataclass
class Counterparty:
    """A supplier, or the company's own carrier, behind a folder: answers each order, ships and
    bills it, and brings the goods in time."""

    data: Path
    partners: Path
    late: str
    read: set[str] = field(default_factory=set)
    arriving: list[dict[str, Any]] = field(default_factory=list)
    control: int = 0

    def answer(self, desk: procurement.Desk) -> int:
        """Read new orders, promise what was asked, ship and bill it; how many orders there were."""
        new = 0
        for name, partner in desk.partners.items():
            for path in sorted((self.partners / name / "out").glob("*.edi")):
                if path.name in self.read:
                    continue
                self.read.add(path.name)
                (transaction,) = x12.read(path.read_bytes()).sets
                if transaction.code != "850":
                    continue
                new += 1
                order, place = (
                    transaction.segments[0][3],
                    next(s[4] for s in transaction.segments if s[0] == "N1"),
                )
                lines = [s for s in transaction.segments if s[0] == "PO1"]
                days = [s[2] for s in transaction.segments if s[0] == "DTM"][1:]
                if name.startswith("DC"):
                    self.move(order, name, place, lines, days, desk.now)
                else:
                    self.deliver(order, name, place, lines, days, desk, partner)
        return new

    def deliver(
        self,
        order: str,
        name: str,
        place: str,
        lines: list[Any],
        days: list[str],
        desk: procurement.Desk,
        partner: Any,
    ) -> None:
        today = f"{desk.now:%Y%m%d}"
        ack: list[list[str]] = [["BAK", "00", "AD", order, today]]
        notice = [
            ["BSN", "00", f"SHIP-{order}", today, "0900"],
            ["HL", "1", "", "S"],
            ["HL", "2", "1", "O"],
            ["PRF", order],
        ]
        bill: list[list[str]] = [["BIG", today, f"INV-{order}", today, order]]
        total = 0
        for line, day in zip(lines, days, strict=True):
            _, number, units, _, price, _, _, item = line
            ack += [
                ["PO1", number, units, "EA", price, "", "VP", item],
                ["ACK", "IA", units, "EA", "067", day],
            ]
            notice += [["LIN", number, "VP", item], ["SN1", number, units, "EA"]]
            bill.append(["IT1", number, units, "EA", price, "", "VP", item])
            total += round(float(units) * float(price) * 100)
            arrives = (
                datetime.strptime(day, "%Y%m%d")
                + timedelta(hours=6)
                + (LATE if name == self.late else timedelta())
            )
            self.arriving.append(
                {
                    "order": order,
                    "line": number,
                    "supplier": name,
                    "item": item,
                    "location": place,
                    "quantity": units,
                    "at": arrives,
                }
            )
        for code, group, said in (
            ("855", "PR", ack),
            ("856", "SH", notice),
            ("810", "IN", [*bill, ["TDS", str(total)]]),
        ):
            self.control += 1
            folder = self.partners / name / "in"
            folder.mkdir(parents=True, exist_ok=True)
            text = x12.write(code, group, said, partner.their, partner.ours, self.control, desk.now)
            (folder / f"{self.control:06d}-{code}.edi").write_text(text)

    def move(
        self, order: str, source: str, place: str, lines: list[Any], days: list[str], now: datetime
    ) -> None:
        """A transfer leaves at once and is there on its day; the ERP shows it under our number."""
        for line, day in zip(lines, days, strict=True):
            at = datetime.strptime(day, "%Y%m%d") + timedelta(hours=6)
            said = {
                "transfer": f"{order}/{line[1]}",
                "item": line[7],
                "from_location": source,
                "to_location": place,
                "quantity": line[2],
                "dispatched_at": f"{now + timedelta(hours=7)}",
                "due_at": f"{at}",
            }
            self.arriving.append({"transfer": said, "at": max(at, now + timedelta(hours=8))})

    def goods_until(self, end: datetime) -> int:
        """Write what has arrived before a time into the ERP's books; how many receipts that is."""
        came = [entry for entry in self.arriving if entry["at"] < end]
        self.arriving = [entry for entry in self.arriving if entry["at"] >= end]
        receipts = [
            {
                "receipt": f"GR-{e['order']}-{e['line']}",
                **{k: e[k] for k in ("order", "line", "supplier", "item", "location", "quantity")},
                "received_at": f"{e['at']}",
            }
            for e in came
            if "transfer" not in e
        ]
        moved = [e["transfer"] | {"received_at": f"{e['at']}"} for e in came if "transfer" in e]
        if receipts:
            append(self.data / "erp/receipts.csv", receipts)
        if moved:
            append(self.data / "erp/transfers/received.csv", moved)
        return len(receipts) + len(moved)


def append(path: Path, rows: list[dict[str, str]]) -> None:
    with path.open(encoding="utf-8", newline="") as file:
        header = next(csv.reader(file))
    with path.open("a", encoding="utf-8", newline="") as file:
        csv.DictWriter(file, header, lineterminator="\n").writerows(rows)


def run_line(data: Path, home: Path, on: date) -> dict[str, Any]:
    command = [
        str(Path(sys.executable).parent / "stockhouse"),
        "run",
        str(data),
        "--home",
        str(home),
        "--as-of",
        on.isoformat(),
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"the line stopped on {on}:\n{done.stderr[-3000:]}")
    return dict(json.loads(done.stdout))


def what_is_believed(home: Home, supplier: str) -> dict[str, float]:
    """What the published facts and the newest plan say about a supplier."""
    with published_snapshots.current(home.published).connect() as con:
        record = con.execute(
            "select order_lines, otif_share, lead_time_p90_days from "
            "metrics.kpi_supplier_performance where supplier_id = ?",
            [supplier],
        ).fetchone()
        ordered = con.execute(
            """
            select coalesce(sum(lines.quantity), 0),
                coalesce(sum(parts.quantity) filter (part like 'lead_time%'), 0)
            from decisions.order_lines as lines left
                join decisions.explanations as parts using (run_id, order_line_id)
            where lines.from_id = ? and run_id = (select run_id from published.snapshot)
            """,
            [supplier],
        ).fetchone()
        own = con.execute(
            "select count(*), avg(actual_days) from marts.fct_lead_times where from_id = ? and "
            "order_id like 'SHP%' and not is_censored",
            [supplier],
        ).fetchone()
    assert record
    assert ordered
    assert own
    return {
        "lines on record": record[0],
        "otif": record[1],
        "p90 days": record[2],
        "noise units": ordered[1],
        "own receipts": own[0],
        "own mean days": own[1] or float("nan"),
    }


def play(suppliers: set[str], weeks: int, folder: Path) -> list[dict[str, Any]]:
    """The weeks, one after another; what was seen at the end of each."""
    data, place = company(folder / "company", suppliers), folder / "home"
    late = min(suppliers) if suppliers else "S01"
    robots = Counterparty(data, place / "state" / "partners", late)
    seen = []
    for week in range(weeks):
        on, started = START + timedelta(weeks=week), time.perf_counter()
        arrived = robots.goods_until(datetime.combine(on + timedelta(days=1), datetime.min.time()))
        report = run_line(data, place, on)
        home = Home.open(place)
        with procurement.open_desk(home) as desk:
            # the desk knows that this supplier will be late, and lets the robot order all the same
            if week == 0:
                desk.ledger.propose_limits(
                    Limits(worst_risk=1.0, usual_factor=1e6, auto_amount=1e6), "eve", desk.now
                )
                desk.ledger.confirm_limits("dan", desk.now)
            heard, matched = procurement.poll(desk).messages, procurement.match(desk)
            approved, sent = procurement.approve_and_send(desk)
            robots.answer(desk)
            procurement.poll(desk)
            measures = desk.ledger.measures()
        row = {
            "week": week + 1,
            "on": on,
            "seconds": time.perf_counter() - started,
            "arrived": arrived,
            "proposed": report["new_orders"],
            "approved": len(approved.approved),
            "waiting": len(approved.waiting),
            "sent": sent.sent,
            "booked": matched.receipts,
            "heard": len(heard),
            **what_is_believed(home, late),
            "straight": measures["straight_through_share"],
            "latency s": measures["median_decision_to_sent_seconds"],
            "stages": measures["stages"],
        }
        sys.stdout.write(f"{row}\n")
        sys.stdout.flush()
        seen.append(row)
    return seen


def judge(seen: list[dict[str, Any]], home: Home) -> list[str]:
    """Where the loop did not close."""
    ledger = Ledger.open(home.ledger_url)
    lines, findings = ledger.lines(), ledger.audit()
    ledger.close()
    bought = [d for d in lines if d.kind == "purchase" and d.sent >= 0]
    keys = [d.intent_key for d in lines if d.is_live]
    wrong = [
        (not bought, "nothing was ordered"),
        (any(d.confirmed is None for d in bought), "an order was never acknowledged"),
        (
            not any(d.stage == "closed" for d in bought),
            "no purchase ran through to its payment proposal",
        ),
        (len(keys) != len(set(keys)), "a need was ordered twice"),
        (seen[-1]["own receipts"] == 0, "no receipt of ours became a lead time"),
        (not seen[-1]["otif"] < seen[0]["otif"], "lateness did not show in the supplier's record"),
        (
            not seen[-1]["noise units"] > seen[0]["noise units"],
            "the plan holds no more stock against the late supplier than before",
        ),
        (any(row["straight"] not in (None, 1.0) for row in seen), "a hand was needed"),
    ]
    return findings + [why for is_wrong, why in wrong if is_wrong]


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "S01,S02"
    weeks = int(sys.argv[2]) if len(sys.argv) > 2 else 8
    names = set() if asked == "all" else set(re.split(r"[, ]+", asked))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(sys.argv[3]) if len(sys.argv) > 3 else Path(scratch)
        weeks_seen = play(names, weeks, folder)
        problems = judge(weeks_seen, Home.open(folder / "home"))
    columns = [name for name in weeks_seen[0] if name != "stages"]
    sys.stdout.write(
        pl.DataFrame([{name: row[name] for name in columns} for row in weeks_seen]).write_csv()
    )
    sys.stdout.write("\n".join(problems or ["the loop closes"]) + "\n")
    sys.exit(bool(problems))

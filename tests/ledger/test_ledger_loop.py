"""The loop closes: eight weeks without a hand, orders sent, answered, received late, learned from,
and the next plan changed."""

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from pathlib import Path

from mockedi.testing import Mock

from models.procurement.approval import Limits
from models.procurement.x12 import Party
from models.safe_names import name_of
from orchestration.ledger import Ledger, Partner, Receipt
from orchestration.ledger.partners import folder_partners

# units a day; the days that are promised, and that it really takes
DAILY, PROMISED, ACTUAL = 10.0, 7, 16


def learned_days(ledger: Ledger, now: datetime) -> float:
    """The lead time to plan with: the ninth decile of experience, the promise until there is
    any."""
    cards = ledger.scorecard(now)
    is_known = cards.height and cards["lines"][0] > cards["open_count"][0]
    return cards["lead_time_p90_days"][0] if is_known else PROMISED


def test_eight_weeks_without_a_hand_learn_from_late_receipts(ledger, line):
    monday, targets, plans = date(2026, 1, 5), [], []
    # the desk knows it is late
    ledger.propose_limits(Limits(worst_risk=0.95, usual_factor=10), "eve", datetime(2026, 1, 5))
    ledger.confirm_limits("dan", datetime(2026, 1, 5))
    with Mock.start(start_at="2026-01-05T09:00:00Z") as mock:
        partners = {
            "S1": Partner(
                "S1",
                f"{mock.base}/edi",
                "USD",
                party=Party("MOCKEDI"),
                ours=Party("ACME"),
                usage="T",
            )
        }
        on_hand, shelved = 300.0, 0.0
        for week in range(8):
            day = monday + timedelta(weeks=week)
            now = datetime.combine(day, datetime.min.time())
            arrived = [
                Receipt(
                    f"GR-{d.order_id}",
                    d.order_id,
                    d.line_id,
                    sum(d.shipments.values()),
                    date_time(d.approved_on, ACTUAL),
                )
                for d in ledger.lines()
                if d.shipments and date_time(d.approved_on, ACTUAL) <= now
            ]
            ledger.record_receipts(arrived, "warehouse", now)
            came = sum(d.received for d in ledger.lines())
            on_hand, shelved = on_hand + came - shelved - 7 * DAILY * bool(week), came
            days = learned_days(ledger, now)
            target = DAILY * (days + 7)
            quantity = target - on_hand - sum(d.open_quantity for d in ledger.lines())
            targets.append((days, target))
            if quantity > 0:
                due = day + timedelta(days=math.ceil(days))
                wanted = line("WIDGET-001", quantity, unit_cost=12.5, review_period=day, due_on=due)
                plans.append(ledger.propose([wanted], f"week {week}", now))
                again = ledger.propose([wanted], f"week {week} again", now)
                assert (again.new_orders, again.revised) == (0, 0)
            ledger.approve_within_limits(now, ledger.evidence(now))
            assert ledger.send(partners, now).waiting == 0
            mock.advance(everything=True)
            for document in mock.get("/_mock/mailbox").body:
                ledger.receive(document["payload"].encode(), partners["S1"], now)
        orders = [o for o in mock.get("/_mock/orders").body if o["po_number"].startswith("SHP")]
    sent = [d for d in ledger.lines() if d.sent >= 0]
    assert (
        len(orders)
        == len({d.order_id for d in sent})
        == sum(plan.new_orders for plan in plans)
        >= 3
    )
    assert targets[0] == (PROMISED, DAILY * (PROMISED + 7))
    assert targets[-1][0] > PROMISED
    assert ledger.scorecard(datetime(2026, 3, 2))["otif"][0] == 0.0
    assert ledger.measures()["straight_through_share"] == 1.0
    assert any(d.stage == "closed" for d in sent)
    assert ledger.audit() == []


def date_time(on: str, days: int) -> datetime:
    return datetime.fromisoformat(on) + timedelta(days=days)


def test_evidence_speaks_of_usual_quantities_and_known_suppliers(ledger, line, now, tmp_path):
    for week, units in enumerate((10, 12, 14)):
        day = now + timedelta(weeks=week)
        ledger.propose([line("mug", units, review_period=day.date())], "run", day)
        ledger.approve_within_limits(day)
    later = now + timedelta(weeks=3)
    ledger.propose([line("mug", 90, review_period=later.date())], "run", later)
    report = ledger.approve_within_limits(later, ledger.evidence(later))
    ((_, reasons),) = report.waiting.values()
    assert any("7.5 times the usual 12" in reason for reason in reasons)


def test_partners_nobody_described_get_a_folder_and_a_form_they_can_read(tmp_path):
    partners = folder_partners(["S/1", "a supplier with a long name"], tmp_path, "GBP")
    assert {name: partner.form for name, partner in partners.items()} == {
        "S/1": "x12",
        "a supplier with a long name": "email",
    }
    assert partners["S/1"].address == str(tmp_path / name_of("S/1"))


def test_a_partner_keeps_the_folder_it_had_before_names_were_given(tmp_path):
    for folder in ("S%2F1", "acme"):
        (tmp_path / folder).mkdir()
    partners = folder_partners(["S/1", "acme", "ACME"], tmp_path, "GBP")
    places = {name: Path(partner.address).name for name, partner in partners.items()}
    assert places == {"S/1": "S%2F1", "acme": "acme", "ACME": "ACME"}

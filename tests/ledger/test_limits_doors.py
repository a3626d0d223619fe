"""Limits are set by two people or not at all, every method of the ledger has a door, and nobody is
two persons by spelling."""

from __future__ import annotations

import inspect
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from models.procurement.actors import MACHINES, is_same, person, principal
from models.procurement.approval import Limits
from orchestration.ledger import Ledger, LedgerError

ROOT = Path(__file__).resolve().parents[2]
#: Opened and closed around every use case; `stockhouse audit` calls the same findings without
#: migrating what it audits, and events
FRAME = {"open", "close", "audit", "events"}


def test_every_public_method_of_the_ledger_is_reached_from_a_face() -> None:
    faces = [*(ROOT / "orchestration").glob("app/*.py"), *(ROOT / "orchestration").glob("cli/*.py")]
    faces += [
        *(ROOT / "orchestration").glob("defs/*.py"),
        *(ROOT / "orchestration").glob("runs/*.py"),
    ]
    faces += [
        *(ROOT / "orchestration").glob("expectations/*.py"),
        *(ROOT / "orchestration").glob("landing/**/*.py"),
        *(ROOT / "orchestration").glob("facts/*.py"),
        *(ROOT / "orchestration").glob("web/api/*.py"),
    ]
    text = "\n".join(path.read_text(encoding="utf-8") for path in faces)
    own = inspect.getsource(Ledger)
    names = [
        name
        for name, _ in inspect.getmembers(Ledger, inspect.isfunction)
        if not name.startswith("_")
    ]
    unreached = [
        name
        for name in sorted(set(names) - FRAME)
        if not re.search(rf"\.{name}\(", text) and not re.search(rf"self\.{name}\(", own)
    ]
    assert unreached == []


def test_limits_count_once_a_second_person_has_confirmed_them(
    ledger: Ledger, now: datetime
) -> None:
    ledger.propose_limits(Limits(auto_amount=10.0), "Ann", now)
    assert ledger.limits() == Limits()
    for same in ("Ann", "ann", "ANN ", "a\u200bnn", "\uff41nn"):
        with pytest.raises(LedgerError, match="another person has to confirm"):
            ledger.confirm_limits(same, now)
    assert ledger.confirm_limits("bob", now).auto_amount == 10.0
    assert ledger.limits().auto_amount == 10.0 and ledger.proposed_limits() is None
    with pytest.raises(LedgerError, match="no change of the limits waits"):
        ledger.confirm_limits("bob", now)
    assert ledger.audit() == []


def test_where_roles_are_kept_only_the_highest_confirms(ledger: Ledger, now: datetime) -> None:
    ledger.propose_limits(Limits(approvers={"ann": 1, "dan": 3}), "eve", now)
    ledger.confirm_limits("dan", now)
    ledger.propose_limits(Limits(approvers={"ann": 3}), "eve", now)
    with pytest.raises(LedgerError, match="only a person of level 3"):
        ledger.confirm_limits("ann", now)
    assert ledger.confirm_limits("Dan", now).approvers == {"ann": 3}


@pytest.mark.parametrize(
    ("wanted", "message"),
    [
        ({"auto_amont": 1}, "did you mean auto_amount"),
        ({"maturity": "wild"}, "maturity is one of"),
        ({"class_maturity": {"AX": "wild"}}, "class_maturity gives each class one of"),
        ({"plan": {"budget": 5.0}}, "no limit of a plan"),
        ({"plan": {"bugdet all": 5.0}}, "no limit of a plan"),
        ({"plan": {"budget all": -5.0}}, "is a number, 0 or more"),
        ({"plan": {"budget all": True}}, "is a number, 0 or more"),
        ({"plan": {"service_level Toys": 95}}, "is a share between 0 and 1"),
        ({"plan": ["budget all"]}, "plan gives limits"),
        ({"class_maturity": "auto"}, "class_maturity gives each class one of"),
        ({"auto_amount": -1}, "0 or more"),
        ({"auto_amount": float("nan")}, "0 or more"),
        ({"auto_amount": True}, "0 or more"),
        ({"worst_risk": 2}, "between 0 and 1"),
        ({"approvers": {"ann": 9}}, "level of 1, 2, 3"),
        ({"asking_categories": "tea"}, "list of categories"),
    ],
)
def test_limits_that_make_no_sense_are_refused(wanted: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Limits().changed(wanted)


@pytest.mark.parametrize(
    ("proposer", "approver"),
    [
        ("anna", "an\u200bna"),
        ("anna", "ANNA"),
        ("anna", "\uff41\uff4e\uff4e\uff41"),
        ("Émile", "e\u0301mile"),
        ("anna smith", "anna  smith"),
        ("straße", "STRASSE"),
        ("coco", "сосо"),
    ],
)
def test_nobody_approves_under_another_spelling(
    ledger: Ledger, line: Any, now: datetime, proposer: str, approver: str
) -> None:
    ledger.propose([line(quantity=1000, unit_cost=2000.0)], "run", now, by=proposer)
    (document,) = ledger.lines()
    with pytest.raises(LedgerError, match="cannot approve it too"):
        ledger.approve([document.document_id], approver, now)
    assert ledger.lines()[0].stage == "requisition"


@pytest.mark.parametrize(
    "name", ["аnna", "", "  ", "\u200b", "x" * 101, *sorted(MACHINES), "Approval  Matrix"]
)
def test_a_name_that_is_none_or_a_machine_s_is_refused(
    ledger: Ledger, line: Any, now: datetime, name: str
) -> None:
    ledger.propose([line()], "run", now)
    with pytest.raises(LedgerError, match=r"name|machine"):
        ledger.approve([ledger.lines()[0].document_id], name, now)


@given(
    st.text(st.characters(codec="utf-8", categories=("Ll", "Lu")), min_size=1, max_size=20),
    st.integers(0, 20),
)
@example("ERP", 1)
def test_a_spelling_is_the_same_person_with_invisible_signs_and_other_case(
    name: str, at: int
) -> None:
    spelt = name[:at] + "\u200d\u2060" + name[at:]
    try:
        known = person(name)
    except ValueError:  # no name, or a machine's: neither in another spelling
        with pytest.raises(ValueError, match=r"name|machine"):
            person(spelt)
        return
    assert principal(spelt) == principal(name)
    assert is_same(spelt, name)
    assert is_same(person(spelt), known)


def test_what_two_people_set_for_plans_lands_once_a_value_with_the_time_it_was_known(
    ledger: Ledger, now: datetime
) -> None:
    def set_(at: datetime, **plan: float) -> None:
        said = {name.replace("_of_", " "): size for name, size in plan.items()}
        ledger.propose_limits(ledger.limits().changed({"plan": said}), "ann", at)
        ledger.confirm_limits("bob", at)

    set_(now, budget_of_all=500.0, capacity_of_DC1=90.0)
    ledger.propose_limits(Limits(plan={"budget all": 1.0}), "ann", now)  # nobody confirms it
    set_(now + timedelta(days=1), budget_of_all=700.0)
    set_(now + timedelta(days=2), truck_kg_of_DC1=9.0)
    assert ledger.limits().plan == {"budget all": 700.0, "capacity DC1": 90.0, "truck_kg DC1": 9.0}
    rows = ledger.canonical_rows()["constraints"]
    said = rows.select("name", "scope", "value", "known_at").rows()
    assert said == [
        ("budget", None, 500.0, now),
        ("capacity", "DC1", 90.0, now),
        ("budget", None, 700.0, now + timedelta(days=1)),
        ("truck_kg", "DC1", 9.0, now + timedelta(days=2)),
    ]
    assert rows["row_key"][0] == rows["row_key"][2] and rows["row_key"].n_unique() == 3
    assert rows.select("delivery", "row_no", "part").is_unique().all()
    assert ledger.audit() == []

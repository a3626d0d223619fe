"""Every law of both gates: the tiny company keeps it, and one planted row breaks it."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import duckdb
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from models.replenishment.calendars import weekdays
from orchestration.expectations import GATES, Gate, Law, expectation_names, validate
from orchestration.expectations.consistency_laws import (
    CALLED_OFF,
    DATED,
    IN_STATUS,
    IN_TURN,
    NUMBERED,
)
from orchestration.expectations.limit_unit_grain_laws import COUNTED
from orchestration.expectations.money_calendar_status_laws import (
    IN_WEEKDAYS,
    UNAVAILABLE_STOCK,
    WEEKDAYS,
)
from orchestration.expectations.raw_in import CLOCKED, FLOWS
from orchestration.landing.contract.canonical import CANONICAL, GRAINS, Table
from tests.gates.tiny_company import found

ROOT = Path(__file__).resolve().parents[2]
RAW_IN, ORDERS_OUT = GATES["raw_in"], GATES["orders_out"]
VALUE = {
    "VARCHAR": "'x'",
    "DOUBLE": "1.0",
    "TIMESTAMP": "timestamp '2024-12-29'",
    "DATE": "date '2024-12-29'",
    "BOOLEAN": "true",
    "VARCHAR[]": "['x']",
}


def row(name: str, /, **changed: str) -> str:
    """Insert a row that keeps every law of its table, but for what is changed."""
    table: Table = CANONICAL[name]
    values = {column: VALUE[kind] for column, kind in table.columns.items()}
    values |= {
        "known_at": "timestamp '2024-12-29 12:00'",
        "source_id": "'erp'",
        "delivery": "'d-sales'",
        "row_no": "1",
        "row_key": "1",
    }
    values |= changed
    return (
        f"insert into raw.{name} by name select "
        f"{', '.join(f'{value} as {column}' for column, value in values.items())}"
    )


def _table_violations() -> dict[str, str]:
    planted = {}
    for law in RAW_IN.laws:
        name = law.table.removeprefix("raw.")
        if law.name == f"{name}_required_values_are_given":
            planted[law.name] = row(name, **{CANONICAL[name].required[0]: "null"})
        elif law.name == f"{name}_lead_back_to_a_delivery":
            planted[law.name] = row(name, delivery="'nowhere'")
        elif law.name == f"{name}_numbers_are_possible":
            number = next(
                column for column, kind in CANONICAL[name].columns.items() if kind == "DOUBLE"
            )
            planted[law.name] = row(name, **{number: "'nan'::double"})
        elif law.name == f"{name}_amounts_are_not_negative":
            amount = law.description.removesuffix(".").rpartition(" ")[2]
            planted[law.name] = row(name, **{amount: "-1"})
        elif law.name == f"{name}_known_no_sooner_than_they_happen":
            planted[law.name] = row(name, event_at="timestamp '2024-12-29 12:01'")
    # a row a day for half a year; then a flood in the last weeks, or silence before Now
    for name in FLOWS:
        days = row(
            name,
            known_at="timestamp '2024-12-29' - to_days(d::int)",
            event_at="timestamp '2024-12-29' - to_days(d::int)",
        )
        planted[f"{name}_volume_is_usual"] = f"{days} from range(28, 200) t(d)"
        planted[f"{name}_are_fresh"] = f"delete from raw.{name}; {days} from range(20, 60) t(d)"
    for name in CLOCKED:
        planted[f"{name}_are_of_this_time"] = row(
            name, known_at="timestamp '2042-12-29'", event_at="timestamp '2042-12-28'"
        )
    for name in COUNTED:
        planted[f"{name}_are_in_units_somebody_knows"] = row(name, unit="'zorg'")
    for name in GRAINS:
        twice = [
            row(
                name,
                row_key=str(k),
                row_hash=str(k),
                **({"on_hand": str(k)} if name == "stock" else {}),
            )
            for k in (91, 92)
        ]
        planted[f"{name}_say_one_thing_at_a_time"] = "; ".join(twice)
    return planted


def _contradictions() -> dict[str, str]:
    planted = {
        f"{name}_are_of_this_time": row(name, known_at="timestamp '2042-12-29'") for name in DATED
    }
    for name in IN_STATUS:
        planted[f"{name}_have_a_status_somebody_reads"] = row(name, status="'CNX'")
    for name, ((early, late), *_) in IN_TURN.items():
        days = {early: "timestamp '2024-12-29'", late: "timestamp '2024-02-29'"}
        planted[f"{name}_happen_in_turn"] = row(name, **days)
    for name in NUMBERED:
        again = (row(name, event_at=f"timestamp '{day}'") for day in ("2024-01-04", "2024-12-28"))
        planted[f"{name}_have_a_number_of_their_own"] = "; ".join(again)
    return planted


ACME = "'acme'"
Q_TEA, LONG_AGO = "'tea'", "timestamp '2024-12-29' - to_days(d::int)"
LINES = "update decisions.order_lines set"
ONE = "where order_line_id = 'line-1'"
PLANTED = (
    _table_violations()
    | _contradictions()
    | {
        "sales_of_each_item_are_usual": row(
            "sales", item_id="'mug'", location_id="'shop'", quantity="5000"
        ),
        "sales_of_each_item_go_on": (
            f"{row('sales', item_id=Q_TEA, event_at=LONG_AGO, known_at=LONG_AGO)} from range(30, 390) "
            "t(d)"
        ),
        "sales_prices_of_each_item_are_usual": "update raw.sales set unit_price = 950 where item_id = 'mug' and event_at > '2024-12-05'",
        "constraints_are_limits_somebody_reads": row("constraints", name="'Budget'"),
        "constraints_are_of_something_known": row("constraints", name="'capacity'", scope="'MIAN'"),
        "lanes_lie_between_places_somebody_knows": row(
            "lanes", from_id="'acne'", to_id="'dc'", item_id="'mug'"
        ),
        "lane_stops_lie_between_places_somebody_knows": row(
            "lane_stops", from_id="'acme'", to_id="'shopp'"
        ),
        "lane_stops_spell_each_hub_in_one_way": "; ".join(
            row("lane_stops", hub_id=hub, row_no=f"{k}")
            for k, hub in enumerate(("'PORT OF HULL'", "'PORT OF HULL'", "'PORT OF HUL'"))
        ),
        "sales_spell_each_item_in_one_way": row("sales", item_id="'00 Mug'"),
        "stock_spell_each_location_in_one_way": row("stock", location_id="'SHOP'", on_hand="1"),
        "supplier_terms_spell_each_supplier_in_one_way": row(
            "supplier_terms", supplier_id="'Acme'"
        ),
        "holidays_are_of_somebody_known": row("holidays", country="'GERMANI'"),
        "aliases_are_of_a_kind_somebody_reads": row("aliases", kind="'items'"),
        "stock_and_orders_of_each_item_are_in_one_measure": "; ".join(
            (row("stock", unit="'kg'"), row("purchase_orders", unit="' G '"))
        ),
        "aliases_lead_to_an_end": "; ".join(
            row("aliases", kind="'item'", alias=f"'{a}'", id=f"'{b}'")
            for a, b in ("xy", "yz", "zx")
        ),
        **{
            f"{name}_are_in_a_currency_with_a_rate": row(name, currency="'ZZZ'")
            for name, table in CANONICAL.items()
            if "currency" in table.columns and name != "exchange_rates"
        },
        **{
            f"{name}_name_weekdays": row(name, **{column: "'tue, noday'" for column in columns})
            for name, columns in IN_WEEKDAYS.items()
        },
        "suppliers_take_orders_until_a_time_of_day": row("suppliers", order_until="'noon'"),
        "stock_has_a_status_somebody_reads": row("stock", status="'zorg'"),
        "exchange_rates_are_above_zero": row("exchange_rates", rate="0.0"),
        "components_are_of_kits_put_together_when_sold": row("components", item_id="'mug'"),
        "successions_share_out_at_most_all": "; ".join(
            row("successions", item_id="'a'", successor_id=f"'{new}'", share="0.6") for new in "bc"
        ),
        "supplier_terms_share_out_at_most_all": "; ".join(
            row(
                "supplier_terms",
                item_id="'a'",
                supplier_id=f"'{name}'",
                share="0.6",
                starts_at="null",
                ends_at="null",
            )
            for name in "st"
        ),
        **{
            f"{name}_lead_to_an_end": "; ".join(
                row(name, item_id=f"'{a}'", **{column: f"'{b}'"}) for a, b in ("xy", "yz", "zx")
            )
            for name, column in (
                ("successions", "successor_id"),
                ("components", "part_id"),
                ("bills_of_materials", "part_id"),
            )
        },
        "locations_lead_to_one_that_buys": "; ".join(
            row("locations", location_id=f"'{a}'", supplied_from=f"'{b}'") for a, b in ("xy", "yx")
        ),
        "sales_of_a_supplying_place_are_to_customers": "; ".join(
            (
                *(
                    row("sales", item_id="'crate'", location_id=place, quantity="100")
                    for place in ("'hub'", "'branch'")
                ),
                row("locations", location_id="'branch'", supplied_from="'hub'"),
            )
        ),
        "bills_of_materials_take_something": row("bills_of_materials", scrap_share="1.0"),
        "substitutes_stand_in_for_something": row(
            "substitutes", item_id="'a'", substitute_id="'a'"
        ),
        "purchase_orders_find_their_header": row(
            "purchase_orders", order_id="'headless'", location_id="null"
        ),
        "shipments_have_a_day": row(
            "shipments", event_at="null", shipped_at="null", order_id="'nobody knows'"
        ),
        "receipts_have_a_place": row("receipts", order_id="'nobody knows'", location_id="null"),
        "receipts_bring_goods": row("receipts", quantity="-1"),
        "receipts_find_their_order": row("receipts", order_id="'nobody knows'"),
        "manifest_first_deliveries_repeat_nothing": "update raw.manifest set rows_repeated = 1",
        "manifest_columns_stay": "update raw.manifest set drift = 'renamed pieces to qty' where source_id = 'till'",
        "manifest_deliveries_are_unique": "insert into raw.manifest select * from raw.manifest limit 1",
        "manifest_rows_add_up": "update raw.manifest set rows_in = rows_in + 1 where source_id = 'till'",
        "manifest_claims_add_up": "update raw.manifest set rows_loaded = rows_loaded - 1 where source_id = 'till'",
        "manifest_counts_what_is_loaded": "delete from raw.sales where row_no = 7",
        "manifest_quarantine_is_small": "update raw.manifest set rows_quarantined = 40 where source_id = 'till'",
        "world_is_one": "insert into raw.world select * from raw.world",
        "world_has_two_closed_periods": "update raw.sales set event_at = (select now_at - interval 1 hour from raw.world)",
        "world_has_a_clock": "update raw.world set grain = 'hour'",
        "order_lines_are_complete": f"{LINES} from_id = null {ONE}",
        "order_quantity_is_positive": f"{LINES} quantity = 0 {ONE}",
        "order_quantity_meets_the_minimum": f"{LINES} quantity = 12 {ONE}",
        "order_quantity_is_a_multiple": f"{LINES} quantity = 37 {ONE}",
        "order_item_is_planned_there": f"{LINES} item_id = 'unicorn' {ONE}",
        "order_supplier_is_known": f"{LINES} from_id = 'stranger' {ONE}",
        "order_locations_are_known": f"{LINES} from_id = 'shop' where kind = 'transfer'",
        "order_intent_is_unique": f"{LINES} intent_key = 'same'",
        "order_line_is_unique": f"{LINES} order_line_id = 'same'",
        "order_is_due_after_it_is_decided": f"{LINES} due_on = date '2024-12-29' {ONE}",
        "order_value_adds_up": f"{LINES} value = value + 1 {ONE}",
        "order_explanation_adds_up": (
            "delete from decisions.explanations where order_line_id = 'line-1' and part = "
            "'stock_position'"
        ),
        "order_value_is_in_budget": "update marts.fct_constraints set value = 400 where name = 'budget'",
        "order_quantity_is_usual": f"{LINES} quantity = 12000 where kind = 'transfer'",
        "order_lines_are_as_many_as_usual": """insert into decisions.order_lines by name
        select line.* replace ('run-0-' || r as run_id, as_of - to_days(7 * r::int) as as_of)
        from decisions.order_lines as line, range(1, 6) t(r), range(5) many(n)""",
    }
)
LAWS = [(gate, law) for gate in GATES.values() for law in gate.laws]


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return found(tmp_path_factory.mktemp("tiny") / "warehouse.duckdb")


@pytest.mark.parametrize("gate", GATES.values(), ids=GATES)
def test_the_tiny_company_keeps_every_law(gate: Gate, clean: Path) -> None:
    outcomes = validate(clean, gate, "run-1")
    assert [outcome.summary for outcome in outcomes if not outcome.passed] == []
    assert [outcome.name for outcome in outcomes] == expectation_names(gate)


def test_every_law_has_a_planted_violation() -> None:
    assert set(PLANTED) == {law.name for _, law in LAWS}
    assert len(PLANTED) == len(LAWS)  # names are unique over both gates


def rounds() -> list[tuple[Gate, list[Law]]]:
    """Laws that can be broken in one warehouse: one of each canonical table, whose laws read no
    other such table; others stand alone."""
    turns: dict[int, list[Law]] = {}
    seen: dict[str, int] = {}
    for law in RAW_IN.laws:
        if law.table.removeprefix("raw.") in CANONICAL:
            seen[law.table] = seen.get(law.table, 0) + 1
            turns.setdefault(seen[law.table], []).append(law)
    together = {law.name for laws in turns.values() for law in laws}
    return [(RAW_IN, laws) for laws in turns.values()] + [
        (gate, [law]) for gate, law in LAWS if law.name not in together
    ]


@pytest.mark.parametrize(("gate", "laws"), rounds(), ids=[laws[0].name for _, laws in rounds()])
def test_a_planted_violation_breaks_its_law(
    gate: Gate, laws: list[Law], clean: Path, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    with duckdb.connect(str(warehouse)) as con:
        for law in laws:
            con.execute(PLANTED[law.name])
    for law, outcome in zip(
        laws, validate(warehouse, Gate(gate.name, tuple(laws), gate.run_only), "run-1"), strict=True
    ):
        assert not outcome.passed, law.name
        assert outcome.observed == len(outcome.failed_rows) > 0
        assert outcome.blocks == (law.severity == "error")
        assert outcome.failed_rows[0], "the row that breaks the law is named"


ZZZ = row("supplier_terms", currency="'ZZZ'")
TOMORROW = {"known_at": "timestamp '2025-06-01'"}
#: What stands beside a law: statements, and whether the law is kept all the same.
BESIDE = {
    "a holiday of one supplier, where no country is known": (
        "holidays_are_of_somebody_known",
        [row("holidays", country="null", region_id="null", location_id="null", supplier_id=ACME)],
        True,
    ),
    "a rate that is known": (
        "supplier_terms_are_in_a_currency_with_a_rate",
        [ZZZ, row("exchange_rates", currency="' zzz'")],
        True,
    ),
    "a rate of tomorrow": (
        "supplier_terms_are_in_a_currency_with_a_rate",
        [ZZZ, row("exchange_rates", currency="'ZZZ'", **TOMORROW)],
        False,
    ),
    "a kit that is listed in stock at zero": (
        "components_are_of_kits_put_together_when_sold",
        [
            row("components", item_id="'set'"),
            row("stock", item_id="'set'", on_hand="0.0", is_in_stock="false"),
        ],
        True,
    ),
}


@pytest.mark.parametrize("case", BESIDE)
def test_what_stands_beside_a_law_is_judged_aright(case: str, clean: Path, tmp_path: Path) -> None:
    name, planted, passes = BESIDE[case]
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    with duckdb.connect(str(warehouse)) as con:
        for statement in planted:
            con.execute(statement)
    law = next(law for _, law in LAWS if law.name == name)
    (outcome,) = validate(warehouse, replace(GATES["raw_in"], laws=(law,)), "run-1")
    assert outcome.passed == passes


@pytest.mark.parametrize(("due", "passes"), [("2024-12-29", False), ("2024-12-30", True)])
def test_a_line_is_due_on_the_companys_own_day_of_deciding_or_later(
    due: str, passes: bool, clean: Path, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    law = next(law for _, law in LAWS if law.name == "order_is_due_after_it_is_decided")
    with duckdb.connect(str(warehouse)) as con:
        con.execute("update raw.world set timezone = 'Asia/Tokyo'")
        con.execute(f"{LINES} as_of = timestamp '2024-12-29 15:00', due_on = date '{due}'")
    (outcome,) = validate(warehouse, replace(GATES["orders_out"], laws=(law,)), "run-1")
    assert outcome.passed == passes


def test_a_later_delivery_may_repeat_what_the_first_said(clean: Path, tmp_path: Path) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    law = next(law for _, law in LAWS if law.name == "manifest_first_deliveries_repeat_nothing")
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            "insert into raw.manifest select * replace (delivery || '2' as delivery, "
            "1 as rows_repeated, landed_seq + 1000 as landed_seq) from raw.manifest"
        )
    (outcome,) = validate(warehouse, replace(GATES["raw_in"], laws=(law,)), "run-1")
    assert outcome.passed


@pytest.mark.parametrize("is_part", [False, True])
def test_a_part_is_not_judged_by_what_is_sold_of_it_alone(
    is_part: bool, clean: Path, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    law = next(law for _, law in LAWS if law.name == "order_quantity_is_usual")
    with duckdb.connect(str(warehouse)) as con:
        con.execute(PLANTED[law.name])
        if is_part:
            con.execute(
                "insert into marts.dim_bills_of_materials by name "
                "select distinct 'made' as item_id, item_id as part_id from decisions.order_lines"
            )
    (outcome,) = validate(warehouse, replace(GATES["orders_out"], laws=(law,)), "run-1")
    assert outcome.passed == is_part


@pytest.mark.parametrize(
    ("quantity", "passes"),
    [(15, True), (24, False), (5, False)],
    ids=["his lots", "the usual lots", "below his minimum"],
)
def test_a_line_from_another_supplier_is_judged_by_his_own_lots(
    quantity: int, passes: bool, clean: Path, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    with duckdb.connect(str(warehouse)) as con:
        con.execute(
            "insert into marts.dim_suppliers select 'bell', 'Bell', known_at, true from "
            "marts.dim_suppliers limit 1"
        )
        con.execute(
            f"{LINES} from_id = 'bell', quantity = {quantity}, value = {quantity} * unit_cost "
            "where order_line_id = 'line-1'"
        )
        con.execute(
            "update decisions.explanations set quantity = 0 where order_line_id = 'line-1' and "
            "part = 'stock_position'"
        )
        con.execute(
            f"update decisions.explanations set quantity = {quantity} where order_line_id = "
            "'line-1' and part = 'expected_demand'"
        )
    assert (
        all(outcome.passed for outcome in validate(warehouse, GATES["orders_out"], "run-1"))
        == passes
    )


@pytest.mark.parametrize(
    ("table", "said", "nearest"),
    [
        ("lanes", {"from_id": "'acme'", "to_id": "'dc'", "item_id": "null"}, None),
        ("lanes", {"from_id": "'dc'", "to_id": "'shop'", "item_id": "'mug'"}, None),
        ("lanes", {"from_id": "'dc'", "to_id": "'shop'", "item_id": "'mugg'"}, "mug"),
        ("lanes", {"from_id": "'acme'", "to_id": "'acme'", "item_id": "null"}, "dc"),
        ("lane_stops", {"from_id": "'acm'", "to_id": "'shop'"}, "acme"),
    ],
)
def test_a_lane_to_a_mistyped_place_is_told_with_the_nearest_name(
    table: str, said: dict[str, str], nearest: str | None, clean: Path, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    law = next(law for _, law in LAWS if law.name == f"{table}_lie_between_places_somebody_knows")
    with duckdb.connect(str(warehouse)) as con:
        con.execute(row(table, **said))
    (outcome,) = validate(warehouse, replace(GATES["raw_in"], laws=(law,)), "run-1")
    assert not outcome.blocks
    assert [found["nearest"] for found in outcome.failed_rows] == ([nearest] if nearest else [])


@pytest.mark.parametrize(
    ("hubs", "passes"),
    [
        (("HUB1", "HUB1", "HUB2"), True),
        (("Felixstowe", "Felixstowe", "Rotterdam"), True),
        (("Felixstowe", "Felixstowe", "felixstowe"), False),
        (("Felixstowe", "Felixstowe", "Felixtsowe"), False),
        (("shop", "dc"), True),
        (("Dc", "Antwerp"), False),
    ],
)
def test_hubs_that_differ_by_number_are_two_and_by_a_letter_are_one(
    hubs: tuple[str, ...], passes: bool, clean: Path, tmp_path: Path
) -> None:
    warehouse = tmp_path / "warehouse.duckdb"
    shutil.copy(clean, warehouse)
    law = next(law for _, law in LAWS if law.name == "lane_stops_spell_each_hub_in_one_way")
    with duckdb.connect(str(warehouse)) as con:
        for k, hub in enumerate(hubs):
            con.execute(row("lane_stops", hub_id=f"'{hub}'", row_no=f"{k}"))
    (outcome,) = validate(warehouse, replace(GATES["raw_in"], laws=(law,)), "run-1")
    assert outcome.passed == passes


@pytest.mark.parametrize(
    ("days", "passes"),
    [
        ("tue", True),
        ("Tuesday", True),
        ("mon-thu", True),
        ("Mo, Mi und Fr", True),
        ("2,5", True),
        ("mon to wed", True),
        ("daily", True),
        ("", True),
        ("tues-ish", False),
        ("8", False),
    ],
)
def test_weekdays_that_the_gate_lets_through_can_be_read(days: str, passes: bool) -> None:
    with duckdb.connect() as con:
        said = con.execute(
            f"select regexp_full_match(lower(trim(?)), '{WEEKDAYS}') or trim(?) = ''", [days, days]
        ).fetchone()
    assert said == (passes,)
    if passes:
        assert weekdays(days)


@given(st.from_regex(re.compile(WEEKDAYS, re.ASCII), fullmatch=True))
def test_weekdays_that_the_gate_lets_through_are_weekdays_to_the_plan(text: str) -> None:
    assert weekdays(text)


def test_the_gate_and_the_marts_close_lines_by_the_same_words() -> None:
    macro = (ROOT / "dbt_project/macros/documents.sql").read_text(encoding="utf-8")
    assert all(f"'^({words})'" in macro for words in CALLED_OFF)


def test_the_gate_and_the_marts_know_the_same_stock_that_cannot_be_sold() -> None:
    project = yaml.safe_load((ROOT / "dbt_project/dbt_project.yml").read_text(encoding="utf-8"))
    assert project["vars"]["unavailable_stock"] == list(UNAVAILABLE_STOCK)

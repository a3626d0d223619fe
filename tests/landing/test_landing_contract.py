"""A contract that cannot be right is refused with the line, what is wrong and how to mend it,
before or while the first file is read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from orchestration.landing import ContractError, World
from orchestration.landing.contract.yaml_document import read_yaml
from tests.landing.company import FIRST_DAY, HEAD, SALES, Company


def load(tmp_path: Path, text: str) -> World:
    (tmp_path / "world.yml").write_text(text, encoding="utf-8")
    return World.load(tmp_path)


def contract(old: str = "", new: str = "", *, grain: str = "day") -> str:
    text = HEAD.format(timezone="UTC", grain=grain) + SALES
    assert old in text
    return text.replace(old, new)


MISTAKES = {
    "unknown table": ("- sales:", "- sells:", "no canonical table `sells`"),
    "unknown column": (
        "unit_price: price",
        "unit_prize: price",
        "`sales` has no column `unit_prize`",
    ),
    "missing required column": ("item_id: item, ", "", "`sales` needs `item_id`"),
    "missing event": ("event_at: day, ", "", "needs at least one of event_at, period_id, order_id"),
    "no known rule": ("    known_after: 1 day\n", "", "nothing says when this is known"),
    "both known rules": ("known_after: 1 day", "known_after: 1 day\n    known_at: day", "not both"),
    "no key": ("key: [till, line]", "drift: stop", "exactly one"),
    "key and identity": ("key: [till, line]", "key: [till]\n    identity: row", "exactly one"),
    "no source place": ("path: tills/*.csv", "drift: stop", "exactly one of path"),
    "unknown word": (
        "silo: pos",
        "silos: pos",
        "`silos` is no word of the grammar here: did you mean silo?",
    ),
    "subquery": ("quantity: qty", "quantity: (select 1)", "not row-local"),
    "window": ("quantity: qty", "quantity: row_number() over ()", "not row-local"),
    "aggregate": ("quantity: qty", "quantity: sum(qty)", "`sum` is not allowed"),
    "aggregate in disguise": ("quantity: qty", "quantity: count(distinct qty)", "aggregate"),
    "star": ("quantity: qty", "quantity: count(*)", "not"),
    "lambda": ("quantity: qty", 'quantity: "list_transform([1], lambda x: x)[1]"', "not"),
    "clock": ("quantity: qty", "quantity: epoch(now())", "`now` is not allowed"),
    "clock without brackets": (
        "event_at: day",
        "event_at: current_date + 1",
        "no column|not allowed",
    ),
    "chance": ("quantity: qty", "quantity: random()", "`random` is not allowed"),
    "settings": ("unit_price: price", "unit_price: \"current_setting('threads')\"", "not allowed"),
    "environment": ("unit_price: price", "unit_price: \"getenv('HOME')\"", "not allowed"),
    "variables": ("unit_price: price", "unit_price: \"getvariable('x')\"", "not allowed"),
    "files": ("unit_price: price", "unit_price: \"read_text('/etc/passwd')\"", "not allowed"),
    "typing mistake in a function": (
        "unit_price: price",
        "unit_price: \"regexp_extrct(price, 'x')\"",
        "did you mean `regexp_extract`",
    ),
    "two expressions": (
        "quantity: qty",
        "quantity: '1), (2'",
        "not one expression|no column|no canonical|no SQL|is a query|row",
    ),
    "query": ("quantity: qty", "quantity: 1) from sales --", "is no SQL expression"),
    "path out of the folder": (
        "path: tills/*.csv",
        "path: ../../secrets/*.csv",
        "leaves the data folder",
    ),
    "absolute path": ("path: tills/*.csv", "path: /etc/passwd", "leaves the data folder"),
    "timezone": ("timezone: UTC", "timezone: Mars/Base", "no timezone"),
    "lag": ("known_after: 1 day", "known_after: soon", "no length of time"),
    "lag backwards": ("known_after: 1 day", "known_after: -1 day", "negative"),
    "rule with two tables": ("- sales:", "- returns: {}\n        sales:", "one table"),
    "two lead times": ("lead_time_days: 7", "lead_time_days: 7, lead_time_periods: 1", "not both"),
    "a share of nobody": (
        "sources:",
        "economics: {waiting_share: 0.5}\nsources:",
        "give it with `unmet: backlog`",
    ),
    "more than all wait": (
        "sources:",
        "economics: {unmet: backlog, waiting_share: 60}\nsources:",
        "waiting_share",
    ),
    "bad encoding": (
        "silo: pos",
        "silo: pos\n    format: {csv: {encoding: klingon}}",
        "no encoding",
    ),
    "own function circle": ("sources:", "functions:\n  f(x): f(x)\nsources:", "circle|takes"),
    "own function sees columns": (
        "sources:",
        "functions:\n  f(x): x + qty\nsources:",
        "no argument",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_refused_with_their_place(tmp_path: Path, mistake: str) -> None:
    old, new, said = MISTAKES[mistake]
    text = contract(old, new)
    if mistake == "own function circle":
        text = text.replace("quantity: qty", "quantity: f(qty)")
    (tmp_path / "data" / "tills").mkdir(parents=True)
    with pytest.raises(ContractError, match=said) as caught:
        load(tmp_path, text)
        company = Company(tmp_path)
        (company.data / "world.yml").write_text(text, encoding="utf-8")
        company.write("tills/1.csv", FIRST_DAY)
        company.land()
    assert "world.yml" in str(caught.value)


@pytest.mark.parametrize(
    ("right", "wrong", "said"),
    [
        ("grain: day", "grain: days", "plan.grain: `days` is none of .* did you mean day"),
        ("review: weekly", "review: weekley", "plan.review: .* nor a number: did you mean weekly"),
        ("absent_sales: zero", "absent_sales: 5", "plan.absent_sales: `5` is none of 'zero' or"),
        ("silo: pos", "silo: 5", "sources.tills.silo: "),
    ],
)
def test_a_word_that_may_not_stand_there_is_named_as_it_was_written(
    tmp_path: Path, right: str, wrong: str, said: str
) -> None:
    with pytest.raises(ContractError, match=said) as caught:
        load(tmp_path, contract(right, wrong))
    assert not re.search(r"literal|Input should be 'd|\bint\b|more\)", str(caught.value))


def test_duplicate_key_names_its_line(tmp_path: Path) -> None:
    with pytest.raises(ContractError, match=r"world\.yml:10: the key `silo` appears twice"):
        load(tmp_path, contract("silo: pos", "silo: pos\n    silo: erp"))


def test_a_name_that_is_no_column_says_how_constants_are_written(company: Company) -> None:
    company.contract(SALES.replace("location_id: store", "location_id: north"))
    company.write("tills/1.csv", FIRST_DAY)
    with pytest.raises(ContractError, match=r"`north` is no column of source `tills`.*\"'north'\""):
        company.land()


def test_a_misspelt_column_is_recognised(company: Company) -> None:
    company.contract(SALES.replace("location_id: store", "location_id: stoer"))
    company.write("tills/1.csv", FIRST_DAY)
    with pytest.raises(ContractError, match="did you mean `store`"):
        company.land()


@pytest.mark.parametrize(
    ("grain", "lag", "is_honest"),
    [("week", "6 days", False), ("week", "7 days", True), ("month", "30 days", False)],
)
def test_a_total_is_not_known_before_its_period_has_ended(
    tmp_path: Path, grain: str, lag: str, is_honest: bool
) -> None:
    text = contract("known_after: 1 day", f"known_after: {lag}", grain=grain)
    if is_honest:
        assert load(tmp_path, text).plan.grain == grain
    else:
        with pytest.raises(ContractError, match="before it has ended"):
            load(tmp_path, text)


def test_words_that_yaml_would_change_stay_words(tmp_path: Path) -> None:
    world = load(
        tmp_path,
        contract("sources:", "functions:\n  land: {Norway: NO, Sweden: SE, else: ON}\nsources:"),
    )
    assert world.functions["land"] == {"Norway": "NO", "Sweden": "SE", "else": "ON"}


def test_a_float_never_becomes_an_id(tmp_path: Path) -> None:
    import polars as pl

    company = Company(tmp_path, SALES.replace("tills/*.csv", "tills.parquet"))
    pl.DataFrame(
        {
            "till": ["a"],
            "line": [1],
            "item": [17850.0],
            "store": ["n"],
            "day": ["2024-01-01"],
            "qty": [1],
            "price": [1],
        }
    ).write_parquet(company.data / "tills.parquet")
    with pytest.raises(ContractError, match="numbers with fractions are no names"):
        company.land()


def test_the_published_schema_for_editors_is_the_grammar() -> None:
    published = json.loads(
        (Path(__file__).parents[2] / "orchestration" / "landing" / "world.schema.json").read_text(
            encoding="utf-8"
        )
    )
    assert published == World.model_json_schema(), (
        "make it anew: `stockhouse check --schema > orchestration/landing/world.schema.json`"
    )
    assert {"world", "currency", "plan", "sources"} <= set(published["properties"])
    root = Path(__file__).parents[2]
    for path in (root / "sample_data/world.yml", *(root / "tests/worlds").glob("*/world.yml")):
        written = json.loads(json.dumps(read_yaml(path)[0], default=str))
        assert not list(Draft202012Validator(published).iter_errors(written)), path
    rule = published["$defs"]["Source"]["properties"]["into"]["items"]["properties"]["sales"]
    assert "Unit: units. Example:" in rule["properties"]["quantity"]["description"]


@pytest.mark.parametrize(
    "name", ["favorita", "m5", "rossmann", "scms", "supplygraph", "uci", "vn2", "walmart"]
)
def test_the_public_worlds_are_valid_contracts(name: str) -> None:
    assert World.load(Path(__file__).parents[1] / "worlds" / name).world == name

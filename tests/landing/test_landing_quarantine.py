"""The quarantine is a workbench: listed, shown, retried after a mended contract, discarded for
good."""

from __future__ import annotations

from typing import Any

import pytest

from orchestration.landing import ContractError
from orchestration.landing.contract.world import Format
from orchestration.landing.load import quarantine
from tests.landing.company import FIRST_DAY, SALES, Company

BAD = FIRST_DAY + 'T1,3,plum,north,2024-03-01,"1,5",2\n'


def test_a_bad_row_shows_file_row_column_value_rule_and_raw_text(company: Company) -> None:
    company.write("tills/1.csv", BAD)
    company.land()
    (row,) = quarantine.list(company.con).iter_rows(named=True)
    shown = quarantine.show(company.con, row["quarantine_id"])
    assert (shown["path"], shown["row_no"], shown["table_name"], shown["column_name"]) == (
        "tills/1.csv",
        3,
        "sales",
        "quantity",
    )
    assert (shown["value"], shown["rule"], shown["status"]) == (
        "1,5",
        "is no number as declared",
        "open",
    )
    assert '"item":"plum"' in shown["raw_text"]
    lines = (company.data / "tills/1.csv").read_text().splitlines()
    assert lines[shown["file_row"] - 1].startswith("T1,3,plum")


@pytest.mark.parametrize(
    ("form", "rows_above"),
    [
        ({"csv": {}}, 1),
        ({"csv": {"skip_lines": 3}}, 4),
        ({"csv": {"header": ["a", "b"]}}, 0),
        ({"tsv": {"skip_lines": 1}}, 2),
        ({"xlsx": {}}, 1),
        ({"xlsx": {"header_row": 5}}, 5),
        ({"ods": {"header_row": [3, 4]}}, 4),
        ({"json": {}}, 0),
        ({"jsonl": {}}, 0),
    ],
)
def test_a_row_is_named_as_the_file_shows_it(form: dict[str, Any], rows_above: int) -> None:
    assert Format.model_validate(form).rows_above == rows_above


def test_retry_after_a_mended_contract_loads_the_row(company: Company) -> None:
    company.write("tills/1.csv", BAD)
    company.land()
    company.contract(
        SALES.replace("    key:", '    decimal: ","\n    key:').replace(
            "unit_price: price", "unit_price: price::double"
        )
    )
    assert quarantine.retry(company.con, company.world, company.archive) == {
        "retried": 1,
        "open": 0,
    }
    assert company.rows("SELECT quantity FROM raw.sales WHERE item_id = 'plum'") == [(1.5,)]
    assert quarantine.list(company.con, status="retried").height == 1


def test_retry_without_a_mended_contract_leaves_the_row_open(company: Company) -> None:
    company.write("tills/1.csv", BAD)
    company.land()
    assert quarantine.retry(company.con, company.world, company.archive, "tills") == {
        "retried": 0,
        "open": 1,
    }
    assert company.rows("SELECT count(*) FROM raw.sales") == [(2,)]


def test_discarded_rows_stay_discarded_after_a_rebuild(company: Company) -> None:
    company.write("tills/1.csv", BAD)
    company.land()
    chosen = quarantine.list(company.con)["quarantine_id"].to_list()
    assert quarantine.discard(company.con, company.archive, chosen) == 1
    company.reland()
    assert quarantine.list(company.con).height == 0
    assert quarantine.list(company.con, status="discarded").height == 1


def test_an_unknown_id_is_an_error(company: Company) -> None:
    company.write("tills/1.csv", FIRST_DAY)
    company.land()
    with pytest.raises(ContractError, match="nothing in quarantine is called nonsense"):
        quarantine.show(company.con, "nonsense")

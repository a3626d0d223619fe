"""A document's lines, wherever they stand in it: one row a line, with what the documents around it
say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.readers.json_document import json_table


def rows(tmp_path: Path, document: object, records: str) -> list[dict[str, object]]:
    path = tmp_path / "orders.json"
    path.write_text(json.dumps(document))
    table, names, rejects = json_table(path, records, [""], path.name)
    assert not rejects
    return table.select(names).to_pylist()


def test_a_line_has_its_order_s_date_and_its_own_word_goes_first(tmp_path: Path) -> None:
    lines = [{"sku": "a", "quantity": 2}, {"sku": "b", "quantity": 1, "created_at": "later"}]
    found = rows(
        tmp_path,
        {"shop": "s", "orders": [{"id": 1, "created_at": "t", "line_items": lines}]},
        "orders.line_items",
    )
    assert found == [
        {"shop": "s", "id": "1", "created_at": "t", "sku": "a", "quantity": "2"},
        {"shop": "s", "id": "1", "created_at": "later", "sku": "b", "quantity": "1"},
    ]


def test_lists_at_any_depth_are_walked_and_a_document_without_lines_has_none(
    tmp_path: Path,
) -> None:
    document = [
        {"day": 1, "shops": [{"shop": "n", "sold": [{"q": 1}, {"q": 2}]}]},
        {"day": 2, "shops": [{"shop": "s", "sold": []}, {"shop": "w", "sold": [{"q": 3}]}]},
    ]
    assert [
        (row["day"], row["shop"], row["q"]) for row in rows(tmp_path, document, "shops.sold")
    ] == [
        ("1", "n", "1"),
        ("1", "n", "2"),
        ("2", "w", "3"),
    ]


@pytest.mark.parametrize("records", ["order", "orders.lines", "orders.id.lines"])
def test_a_way_that_ends_early_is_one_clear_error(tmp_path: Path, records: str) -> None:
    with pytest.raises(ContractError, match=f"has no `{records}`"):
        rows(tmp_path, {"orders": [{"id": 1, "line_items": []}]}, records)


@given(
    orders=st.lists(
        st.tuples(st.integers(0, 99), st.lists(st.integers(1, 9), max_size=4)), max_size=6
    )
)
def test_documents_line_by_line_have_the_rows_that_they_have_in_a_list(
    tmp_path_factory: pytest.TempPathFactory, orders: list[tuple[int, list[int]]]
) -> None:
    documents = [
        {"id": number, "vendor": {"id": "V"}, "lines": [{"q": q} for q in quantities]}
        for number, quantities in orders
    ]
    folder = tmp_path_factory.mktemp("json")
    path = folder / "orders.jsonl"
    path.write_text("".join(json.dumps(one) + "\n" for one in documents))
    table, names, rejects = json_table(path, "lines", [""], path.name)
    assert not rejects
    assert table.select(names).to_pylist() == rows(folder, documents, "lines")
    assert table["_row"].to_pylist() == list(range(1, table.num_rows + 1))


@pytest.mark.parametrize(("odd", "why"), [("{bad", "no JSON"), ('{"id": 2}', "has no `lines`")])
def test_one_odd_document_among_many_is_set_aside_alone(odd: str, why: str, tmp_path: Path) -> None:
    path = tmp_path / "orders.jsonl"
    good = json.dumps({"id": 1, "lines": [{"q": 1}, {"q": 2}]})
    path.write_text("\n".join([good, odd, good]))
    table, _, (reject,) = json_table(path, "lines", [""], path.name)
    assert table["q"].to_pylist() == ["1", "2", "1", "2"]
    assert reject.row_no == 2 and why in reject.reason


def test_what_is_around_a_line_may_be_nested_itself(tmp_path: Path) -> None:
    document = {"vendor": {"id": "V1"}, "lines": [{"sku": "a"}]}
    assert rows(tmp_path, document, "lines") == [{"vendor": '{"id": "V1"}', "sku": "a"}]

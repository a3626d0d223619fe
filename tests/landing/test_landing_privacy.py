"""Whoever bought is stored as a keyed hash: the same for the same customer, and nowhere the id
itself but in the archive."""

from __future__ import annotations

import hashlib
import hmac
import json
import stat
from pathlib import Path

import duckdb
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.landing import ContractError, check, land_records
from orchestration.landing.contract.privacy import FILE, VARIABLE, PrivacyKey
from orchestration.landing.load import quarantine
from tests.landing.company import Company

KEY = "a key of the tests, long enough"
ANN, BOB = "ANN-90210", "BOB-55555"
SALES = """
sources:
  tills:
    silo: pos
    path: tills/*.csv
    key: [till, line]
    known_after: 1 day
    skip: {gift: price = '0'}
    into:
      - sales: {when: kind = 'sale', item_id: item, location_id: store, event_at: day, quantity: qty, customer_id: who, unit_price: price}
      - returns: {when: kind = 'back', item_id: item, location_id: store, event_at: day, quantity: qty, customer_id: upper(who)}
  stores: {silo: pos, path: stores.csv, key: [store], known_at: date '2024-01-01', into: [locations: {location_id: store}]}
"""
HEADER = "till,line,kind,item,store,day,qty,price,who\n"


def hashed(text: str, key: str = KEY) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, KEY)


@pytest.fixture
def shop(company: Company) -> Company:
    company.contract(SALES)
    company.write("stores.csv", "store\nnorth\n")
    rows = [
        f"T1,1,sale,apple,north,2024-03-01,3,1.5,{ANN}",
        f"T1,2,sale,pear,north,2024-03-01,2,2,{BOB}",
    ]
    rows += [
        f"T1,3,back,apple,north,2024-03-02,1,1.5,{ANN.lower()}",
        "T1,4,sale,fig,north,2024-03-02,1,1.5,",
    ]
    rows += [
        f"T1,5,sale,bad,north,2024-03-02,many,1.5,{ANN}",
        f"T1,6,lost,fig,north,2024-03-02,1,1.5,{BOB}",
    ]
    rows += [f"T1,7,sale,fig,north,2024-03-02,1,0,{BOB}"]
    company.write("tills/1.csv", HEADER + "\n".join(rows) + "\n")
    return company


def as_text(company: Company) -> str:
    """Every table of the warehouse as text."""
    tables = company.rows(
        "SELECT table_schema, table_name FROM information_schema.tables WHERE table_type = 'BASE "
        "TABLE'"
    )
    return "\n".join(
        str(row)
        for schema, table in tables
        for row in company.rows(f'SELECT * FROM "{schema}"."{table}"')
    )


@given(
    text=st.text(st.characters(exclude_categories=("Cs",))),
    key=st.text(st.characters(exclude_categories=("Cs",)), min_size=1),
)
def test_the_hash_is_the_hmac_of_the_standard(text: str, key: str) -> None:
    with duckdb.connect() as con:
        PrivacyKey(key.encode()).unlock(con)
        assert con.execute("SELECT keyed_hash($1), keyed_hash(NULL)", [text]).fetchone() == (
            hashed(text, key),
            None,
        )


def test_one_customer_stays_one_and_two_stay_two(shop: Company) -> None:
    shop.land()
    assert shop.rows("SELECT customer_id FROM raw.sales ORDER BY item_id") == [
        (hashed(ANN),),
        (None,),
        (hashed(BOB),),
    ]
    assert shop.rows("SELECT customer_id FROM raw.returns") == [(hashed(ANN),)], (
        "hashed as the contract reads it: upper(who)"
    )


def test_the_id_is_nowhere_but_in_the_archive(shop: Company) -> None:
    shop.land()
    assert quarantine.list(shop.con).height == 2
    assert hashed(ANN) in as_text(shop)
    shop.con.execute("CHECKPOINT")
    kept = [
        path
        for path in shop.folder.rglob("*")
        if path.is_file() and not {shop.data, shop.archive} & {*path.parents}
    ]
    assert not [name for name in (ANN, BOB, KEY) if name.lower() in as_text(shop).lower()]
    assert not [
        path
        for path in kept
        for name in (ANN, BOB, KEY)
        if name.encode().lower() in path.read_bytes().lower()
    ]


def test_the_quarantine_shows_the_hash_in_place_of_the_id(shop: Company) -> None:
    shop.land()
    bad, lost = quarantine.list(shop.con).sort("row_no").iter_rows(named=True)
    assert (bad["column_name"], bad["value"]) == ("quantity", "many")
    assert f'"who":"{hashed(ANN)}"' in bad["raw_text"]
    assert f'"who":"{hashed(BOB)}"' in lost["raw_text"]
    assert '"item":"fig"' in lost["raw_text"]


def test_a_bad_value_that_says_who_bought_is_shown_as_its_hash(shop: Company) -> None:
    shop.contract(
        SALES.replace("quantity: qty, customer_id: who", "quantity: who, customer_id: who")
    )
    shop.land()
    shown = (
        quarantine.list(shop.con)
        .filter(pl.col("column_name") == "quantity")["value"]
        .drop_nulls()
        .to_list()
    )
    assert sorted(shown) == sorted([hashed(ANN), hashed(BOB), hashed(ANN)])


def test_changed_columns_may_say_anywhere_who_bought_so_nothing_of_them_is_shown(
    shop: Company,
) -> None:
    shop.contract(SALES.replace("    known_after", "    drift: quarantine\n    known_after"))
    shop.land()
    shop.write(
        "tills/2.csv",
        HEADER.replace("who", "customer") + f"T2,1,sale,apple,north,2024-03-01,3,1.5,{ANN}\n",
    )
    assert shop.land().quarantined_rows == 1
    assert ANN not in as_text(shop)


def test_another_key_is_noticed_and_the_source_is_hashed_anew(
    shop: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.land()
    monkeypatch.setenv(VARIABLE, "another key, just as long")
    said: list[str] = []
    shop.land(progress=said.append)
    assert said == [
        "tills: the contract or the key of its customers changed; reading its archive anew"
    ]
    assert shop.rows("SELECT customer_id FROM raw.returns") == [
        (hashed(ANN, "another key, just as long"),)
    ]
    assert shop.land(progress=said.append).new_rows == 0
    assert len(said) == 1


def test_who_a_row_is_tells_nobody_without_the_key_who_bought(
    shop: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.contract(SALES.replace("key: [till, line]", "identity: row"))
    keys = "SELECT row_key, row_hash FROM raw.sales WHERE item_id = 'apple'"
    shop.land()
    first = shop.rows(keys)
    monkeypatch.setenv(VARIABLE, "another key, just as long")
    shop.land()
    assert not {*first[0]} & {*shop.rows(keys)[0]}


def test_a_home_without_a_key_makes_one_for_its_owner_alone_and_keeps_it(
    shop: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE)
    shop.land()
    file = shop.archive.parent / FILE
    made = file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert len(made.strip()) == 64
    assert shop.rows("SELECT customer_id FROM raw.returns") == [(hashed(ANN, made.strip()),)]
    shop.land()
    assert file.read_text() == made


def test_a_short_key_is_refused(shop: Company, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "secret")
    with pytest.raises(
        ContractError, match="STOCKHOUSE_PRIVACY_KEY: the key is shorter than 16 characters"
    ):
        shop.land()


def test_a_world_that_names_no_customer_needs_no_key(
    company: Company, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "secret")
    company.write(
        "tills/1.csv", "till,line,item,store,day,qty,price\nT1,1,apple,north,2024-03-01,3,1.50\n"
    )
    assert company.land().new_rows == 1


def test_check_shows_hashes_and_never_the_id_or_the_key(shop: Company) -> None:
    said = "\n".join(finding.message for finding in check(shop.world, shop.data, show_sql=True))
    assert "keyed_hash" in said
    assert not [name for name in (ANN, BOB, KEY) if name in said]


def test_check_warns_of_an_id_that_is_stored_elsewhere_too(shop: Company) -> None:
    assert not [
        finding for finding in check(shop.world, shop.data) if "who bought" in finding.message
    ]
    shop.contract(SALES.replace("customer_id: who", "customer_id: who, order_id: who || day"))
    said = [
        finding.message
        for finding in check(shop.world, shop.data)
        if "who bought" in finding.message
    ]
    assert said == ["who says who bought, and sales.order_id stores it unhashed"]


@pytest.mark.parametrize(
    "sources",
    [
        SALES.replace("customer_id: who", "customer_id: _file"),
        SALES.replace(
            "    known_after",
            (
                "    unpivot: {keep: [till, line, kind, item, store, day, price], name: who, "
                "value: "
                "qty}\n    known_after"
            ),
        ),
    ],
)
def test_a_customer_who_is_a_heading_or_a_file_name_is_refused(shop: Company, sources: str) -> None:
    shop.contract(sources)
    with pytest.raises(ContractError, match="kept as it is"):
        shop.land()


def test_what_receivers_took_in_comes_through_the_same_door(shop: Company) -> None:
    inbox = shop.folder / "state" / "inbox"
    (inbox / "tills").mkdir(parents=True)
    row = {
        "till": "T9",
        "line": 1,
        "kind": "sale",
        "item": "apple",
        "store": "north",
        "day": "2024-03-01",
        "qty": 1,
        "price": "1",
    }
    (inbox / "tills" / "batch.jsonl").write_text(json.dumps({**row, "who": ANN}) + "\n")
    shop.contract(
        SALES.replace("path: tills/*.csv", "stream: {webhook: {secret: $S, message_id: line}}")
    )
    shop.land(inbox=inbox)
    assert shop.rows("SELECT customer_id FROM raw.sales") == [(hashed(ANN),)]


def test_the_platforms_own_records_name_no_customer(shop: Company) -> None:
    orders = pl.DataFrame({"order_id": ["1"], "event_at": ["2024-03-01"], "customer_id": [ANN]})
    with pytest.raises(ContractError, match="name no customer"):
        land_records(
            shop.con,
            shop.world,
            "ledger",
            {"orders": orders},
            known_at=pl.datetime(2024, 1, 1),
            archive=shop.archive,
        )  # type: ignore[arg-type]


def test_a_home_from_before_is_hashed_by_its_next_landing(shop: Company) -> None:
    shop.land()
    shop.con.execute(
        "UPDATE raw.sales SET customer_id = 'plain'; UPDATE raw.manifest SET contract = 'of before'"
    )
    shop.con.execute("UPDATE raw.quarantine SET raw_text = 'plain', row_no = 99")
    shop.land()
    assert "plain" not in as_text(shop)


def test_the_key_does_not_show_in_what_prints_it(tmp_path: Path) -> None:
    assert KEY not in repr(PrivacyKey(KEY.encode()))
    assert KEY not in PrivacyKey(KEY.encode()).fingerprint

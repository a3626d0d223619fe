"""The archive keeps every byte under its hash, knows who handed it over and when, and takes back
what nobody committed; a file is the same one by its bytes, and goes on by them."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestration.landing.contract.errors import ContractError
from orchestration.landing.load.delivery_batches import BATCH_FILES, in_batches, next_seq
from orchestration.landing.load.landing import cut_receipts
from orchestration.landing.load.store import (
    Archive,
    Receipt,
    apply_discards,
    create_tables,
    read_receipts,
)
from orchestration.landing.readers import drops
from orchestration.landing.readers.drops import StillWritten, discover, is_litter, partitions
from orchestration.landing.readers.sourcing import Delivery


@pytest.fixture
def con() -> Any:
    with duckdb.connect() as made:
        create_tables(made)
        yield made


def kept(
    store: Archive, content: bytes, source: str = "tills", path: str = "a.csv", **more: Any
) -> Receipt:
    sha256 = hashlib.sha256(content).hexdigest()
    file = store.incoming / "copy"
    file.write_bytes(content)
    receipt = Receipt(sha256, len(content), source, "pos", path, more.pop("seq", 1), **more)
    store.keep([(file, receipt)])
    return receipt


def commit(con: duckdb.DuckDBPyConnection, receipt: Receipt, seq: int = 1) -> None:
    con.execute(
        "INSERT INTO raw.manifest (source_id, delivery, path, landed_seq) VALUES (?, ?, ?, ?)",
        [receipt.source_id, receipt.sha256, receipt.path, seq],
    )


def left(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_bytes_are_kept_once_and_every_hand_over_of_them_is_known(tmp_path: Path) -> None:
    store = Archive(tmp_path)
    first = kept(store, b"one", seq=3)
    second = kept(store, b"one", path="b.csv", seq=2, fault="odd", known_at="2024-01-01")
    again = kept(store, b"one", seq=5)
    other = kept(store, b"two", source="master", seq=1)
    assert store.receipts() == [other, second, again]  # the last word of each name, as it came
    assert read_receipts(tmp_path) == store.receipts()
    assert store.path(first.sha256).read_bytes() == b"one"
    assert store.verified(first.sha256) == tmp_path / first.sha256
    told = json.loads((tmp_path / f"{first.sha256}.json").read_text("utf-8"))
    assert (told["sha256"], told["bytes"], len(told["receipts"])) == (first.sha256, 3, 2)
    store.acknowledge()
    store.close()
    assert left(tmp_path) == {
        name for one in (first, other) for name in (one.sha256, f"{one.sha256}.json")
    }


def test_what_was_never_committed_is_taken_back_and_what_was_stays(
    tmp_path: Path, con: Any
) -> None:
    store = Archive(tmp_path)
    old = kept(store, b"old")
    commit(con, old)
    store.withdraw(con)  # killed between the commit and its acknowledgement
    assert store.receipts() == [old] and ".pending" not in left(tmp_path)
    kept(store, b"old", path="b.csv", seq=2)  # the same bytes under another name, not committed
    store.withdraw(con)
    assert store.receipts() == [old] and store.path(old.sha256).exists()
    new = kept(store, b"new", seq=3)
    store.withdraw(con)
    assert store.receipts() == [old] and not store.path(new.sha256).exists()
    store.withdraw(con)  # nothing waits
    assert store.receipts() == [old]
    both = tmp_path / ".incoming" / "both"
    both.write_bytes(b"two")
    digest = hashlib.sha256(b"two").hexdigest()
    pair = [Receipt(digest, 3, "tills", "pos", path, 4) for path in ("c.csv", "d.csv")]
    store.keep((both, one) for one in pair)
    commit(con, pair[0])
    store.withdraw(con)  # one of the two is not enough
    assert store.receipts() == [old]


def test_altered_torn_or_missing_bytes_are_named_with_their_file(tmp_path: Path) -> None:
    store = Archive(tmp_path)
    receipt = kept(store, b"one")
    store.verify([receipt])
    store.path(receipt.sha256).write_bytes(b"eno")
    store.verify([receipt])  # hashed once a session
    with pytest.raises(ContractError, match="were altered") as altered:
        Archive(tmp_path).verify([receipt])
    assert altered.value.where == "a.csv" and "backup" in altered.value.mend
    redacted = tmp_path / f"{receipt.sha256}.json"
    told = json.loads(redacted.read_text("utf-8"))
    redacted.write_text(
        json.dumps(told | {"redacted": {"sha256": hashlib.sha256(b"eno").hexdigest()}})
    )
    Archive(tmp_path).verify([receipt])  # a customer was forgotten in it
    store.path(receipt.sha256).unlink()
    with pytest.raises(ContractError, match=f"the archive lacks {receipt.sha256}"):
        store.receipts()
    redacted.write_text("{")
    with pytest.raises(ContractError, match="is torn"):
        read_receipts(tmp_path)


def test_a_replacement_is_all_there_also_after_a_kill_and_a_copy_cut_short_is_none(
    tmp_path: Path,
) -> None:
    store = Archive(tmp_path)
    receipt = kept(store, b"one")
    rewritten = tmp_path / ".incoming" / "new"
    rewritten.mkdir()
    (rewritten / receipt.sha256).write_bytes(b"two")
    store.replace(rewritten)
    assert store.path(receipt.sha256).read_bytes() == b"two" and not rewritten.exists()
    waiting = tmp_path / ".rewritten"
    waiting.mkdir()
    (waiting / receipt.sha256).write_bytes(b"three")
    (store.incoming / "half").write_bytes(b"x")
    again = Archive(tmp_path)
    assert again.path(receipt.sha256).read_bytes() == b"three" and not waiting.exists()
    assert left(again.incoming) == set()


def test_discarded_rows_stay_so_and_a_torn_line_costs_no_other(tmp_path: Path, con: Any) -> None:
    for name, status in (("a", "open"), ("b", "retried"), ("c", "open"), ("d", "open")):
        con.execute(
            "INSERT INTO raw.quarantine (quarantine_id, status) VALUES (?, ?)", [name, status]
        )
    assert apply_discards(con, tmp_path) == 0
    lines = '{"quarantine_id": "a"}\n{"quarantine_id": "b"}\n{"quaran{"quarantine_id": "c"}\n'
    (tmp_path / "discarded.jsonl").write_text(lines)
    assert apply_discards(con, tmp_path) == 2 and apply_discards(con, tmp_path) == 0
    found = con.execute("SELECT quarantine_id, status FROM raw.quarantine ORDER BY 1").fetchall()
    assert found == [("a", "discarded"), ("b", "retried"), ("c", "discarded"), ("d", "open")]


def test_tables_are_made_once_and_an_older_one_gets_what_it_lacks() -> None:
    with duckdb.connect() as con:
        con.execute("CREATE SCHEMA raw; CREATE TABLE raw.sales (item_id VARCHAR)")
        con.execute("INSERT INTO raw.sales VALUES ('apple')")
        create_tables(con)
        create_tables(con)
        assert con.execute("SELECT item_id, quantity, row_key FROM raw.sales").fetchall() == [
            ("apple", None, None)
        ]
        assert con.execute("SELECT count(*) FROM raw.manifest").fetchone() == (0,)


def test_deliveries_are_numbered_from_one_on(con: Any) -> None:
    assert next_seq(con) == 1
    commit(con, Receipt("x", 1, "tills", "pos", "a.csv", 1), seq=7)
    assert next_seq(con) == 8


def delivery(name: str, columns: dict[str, str], size: int = 1, path: str = "a.csv") -> Delivery:
    made = Delivery(name, size, path, path, Path(path))
    made.columns = columns
    return made


def test_neighbours_of_one_shape_are_loaded_together_and_no_others(monkeypatch: Any) -> None:
    source = SimpleNamespace(format_of=lambda path: SimpleNamespace(kind=Path(path).suffix))
    world: Any = SimpleNamespace(sources={"tills": source})
    monkeypatch.setattr("orchestration.landing.load.delivery_batches.BATCH_BYTES", 10)
    one, two = {"a": "VARCHAR"}, {"b": "VARCHAR"}
    given_ = [
        delivery("1", one),
        delivery("2", one),
        delivery("2", one),  # equal bytes under two names are counted apart
        delivery("3", two),
        delivery("4", two, path="b.json"),
        delivery("5", two, path="year=2024/b.json"),
        delivery("6", one, 4),
        delivery("7", one, 6),
        delivery("8", one, 1),
        delivery("9", one, 99),
    ]
    found = [[one.sha256 for one in batch] for batch in in_batches(given_, world, "tills")]
    assert found == [["1", "2"], ["2"], ["3"], ["4"], ["5"], ["6", "7"], ["8"], ["9"]]
    assert list(in_batches([], world, "tills")) == []
    many = [delivery(str(n), one, 0) for n in range(BATCH_FILES + 1)]
    assert [len(batch) for batch in in_batches(many, world, "tills")] == [BATCH_FILES, 1]


@given(st.binary(max_size=30), st.binary(max_size=30), st.integers(0, 30))
def test_a_file_is_cut_where_a_later_one_goes_on_inside_its_last_line(
    tmp_path_factory: pytest.TempPathFactory, whole: bytes, other: bytes, at: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    early, late = whole[:at], whole
    for name, content in (("early", early), ("late", late), ("other", other)):
        (folder / name).write_bytes(content)
    store: Any = SimpleNamespace(path=lambda name: folder / name)

    def of(*names: str, path: str = "a.csv", **more: Any) -> list[Receipt]:
        return [Receipt(name, 1, "s", "pos", path, n, **more) for n, name in enumerate(names)]

    ends_inside = 0 < len(early) < len(late) and not (
        early[-1:] in (b"\r", b"\n") or late[len(early) : len(early) + 1] in (b"\r", b"\n")
    )
    assert bool(cut_receipts(of("early", "late"), store)) == ends_inside
    assert {one.sha256 for one in cut_receipts(of("early", "late"), store)} <= {"early"}
    assert cut_receipts(of("late", "early"), store) == set()  # the shorter one came later
    elsewhere = [*of("early"), *of("late", path="b.csv")]
    assert cut_receipts(elsewhere, store) == set()
    assert cut_receipts(of("early", "late", kind="records"), store) == set()
    assert cut_receipts(of("early", "late", fault="odd"), store) == set()
    if not other.startswith(early):
        assert cut_receipts(of("early", "other"), store) == set()
    if ends_inside:
        assert len(cut_receipts(of("early", "other", "late"), store)) == 1


def found(root: Path, pattern: str) -> dict[str, bytes]:
    """What a path names, with its bytes as they are landed."""
    scratch = root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    told = {}
    for drop in discover(pattern, root, scratch).drops:
        digest, size = drop.copy_to(scratch / "copy")
        told[drop.name] = (scratch / "copy").read_bytes()
        assert digest == hashlib.sha256(told[drop.name]).hexdigest() and size == len(
            told[drop.name]
        )
    return told


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data" / "in" / "deep").mkdir(parents=True)
    return tmp_path / "data"


def tar(name: str, **members: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz" if name.endswith("gz") else "w") as made:
        for member, content in members.items():
            info = tarfile.TarInfo(member.replace("_", "/", 1) + ".csv")
            info.size = len(content)
            made.addfile(info, io.BytesIO(content))
    return out.getvalue()


def zipped(**members: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for member, content in members.items():
            made.writestr(member.replace("_", "/", 1) + ".csv", content)
    return out.getvalue()


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.TGZ", "x.zip"])
def test_an_archive_is_its_members_byte_for_byte(root: Path, name: str) -> None:
    members = {"b": b"two" * 1000, "a": b"one", "sub_c": b"", "sub_d": b"four"}
    packed = zipped(**members) if name.endswith("zip") else tar(name.lower(), **members)
    (root / "in" / name).write_bytes(packed)
    place = f"in/{name}"
    top = {f"{place}!{n}.csv": members[n] for n in ("a", "b")}
    below = {f"{place}!sub/c.csv": b"", f"{place}!sub/d.csv": b"four"}
    assert found(root, place) == found(root, "in/*!*") == top | below
    assert list(found(root, place)) == sorted(top | below)
    assert found(root, f"{place}!*.csv") == top
    assert found(root, f"{place}!sub/*.csv") == below
    assert found(root, f"{place}!sub/d.csv") == {f"{place}!sub/d.csv": b"four"}
    lacking = discover(f"{place}!no.csv", root, root)
    assert [fault.what for fault in lacking.faults] == ["has no member `no.csv`"]


def test_a_plain_file_and_a_packed_one_are_their_bytes_in_order_of_name(root: Path) -> None:
    (root / "in" / "b.csv").write_bytes(b"plain")
    (root / "in" / "a.csv.gz").write_bytes(gzip.compress(b"packed"))
    (root / "in" / "c.csv~").write_bytes(b"litter")
    (root / "in" / "deep" / "d.csv").write_bytes(b"deep")
    assert found(root, "in/*") == {"in/a.csv.gz": b"packed", "in/b.csv": b"plain"}
    assert list(found(root, "in/**/*")) == ["in/a.csv.gz", "in/b.csv", "in/deep/d.csv"]
    assert found(root, "in/c.csv~") == {"in/c.csv~": b"litter"}  # called by its name, it is meant
    told = discover("in/*", root, root)
    assert told.litter == ["in/c.csv~"] and not told.faults
    gz, plain = told.drops
    assert (gz.stem, gz.file_name, gz.is_plain, plain.is_plain) == ("a", "a.csv.gz", False, True)
    packed = gz.packed.copy_to(root / "copy")
    assert packed[0] == hashlib.sha256((root / "in" / "a.csv.gz").read_bytes()).hexdigest()
    assert plain.stored_bytes == 5 and gz.stored_bytes == (root / "in" / "a.csv.gz").stat().st_size
    nothing = discover("out/*", root, root)
    with pytest.raises(ContractError) as raised:
        nothing.or_nothing_there("out/*")
    assert raised.value.what == "the path `out/*` matches nothing in the data folder"
    with pytest.raises(ContractError) as raised:
        discover("in/c*", root, root).or_nothing_there("in/c*")
    assert raised.value.what.endswith("in the data folder but in/c.csv~, which was passed over")
    with pytest.raises(ContractError, match="inside the archive"):
        nothing.or_nothing_there("out.zip!x")
    assert told.or_nothing_there("in/*") is told


def test_nothing_odd_in_a_folder_hides_what_comes_after_it(root: Path) -> None:
    (root / "in" / "a.csv").symlink_to("/etc/passwd")
    (root / "in" / "b.zip").write_bytes(b"no zip")
    (root / "in" / "c.csv~").write_bytes(b"litter")
    (root / "in" / "d.zip").write_bytes(zipped())
    (root / "in" / "e.csv").write_bytes(b"plain")
    (root / "in" / "f.zip").write_bytes(zipped(g=b"packed"))
    told = discover("in/*", root, root)
    assert [drop.name for drop in told.drops] == ["in/b.zip", "in/e.csv", "in/f.zip!g.csv"]
    assert [fault.where for fault in told.faults] == ["in/a.csv", "in/d.zip"]
    assert told.litter == ["in/c.csv~"]


@contextmanager
def anybody() -> Iterator[None]:
    """As a user whom files can be kept from."""
    me = os.geteuid()
    os.seteuid(me or 65534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_an_archive_nobody_may_read_hides_no_other() -> None:
    with TemporaryDirectory() as folder:
        root = Path(folder)
        for name, mode in (("a.zip", 0), ("b.zip", 0o644)):
            (root / name).write_bytes(zipped(member=b"packed"))
            (root / name).chmod(mode)
        root.chmod(0o755)
        # what Python loads of itself to read an archive may lie where not everybody may read
        discover("b.zip", root, root)
        with anybody():
            told = discover("*.zip", root, root)
        root.chmod(0o700)
    assert [drop.name for drop in told.drops] == ["b.zip!member.csv"]
    assert [(fault.where, fault.what) for fault in told.faults] == [("a.zip", "may not be read")]


def test_a_file_that_changes_is_left_and_a_broken_one_is_named(
    root: Path, monkeypatch: Any
) -> None:
    file = root / "in" / "a.csv"
    file.write_bytes(b"one")
    (drop,) = discover("in/a.csv", root, root).drops
    real = drops.Drop._copy

    def slowly(self: Any, target: Path) -> Any:
        done = real(self, target)
        file.write_bytes(b"one and more")
        return done

    monkeypatch.setattr(drops.Drop, "_copy", slowly)
    with pytest.raises(StillWritten, match=r"in/a\.csv"):
        drop.copy_to(root / "copy")
    monkeypatch.undo()
    cut = gzip.compress(os.urandom(5000))[:-20]
    (root / "in" / "b.csv.gz").write_bytes(cut)
    (broken,) = discover("in/b.csv.gz", root, root).drops
    with pytest.raises(ContractError, match="is broken or cut short"):
        broken.copy_to(root / "copy")
    (root / "in" / "c.zip").write_bytes(b"no zip")
    (odd,) = discover("in/c.zip", root, root).drops
    assert (
        odd.fault.startswith("is no readable archive") and odd.packed.copy_to(root / "copy")[1] == 6
    )
    with pytest.raises(ContractError, match="is no readable archive"):
        odd.copy_to(root / "copy")


def test_a_bomb_is_known_by_ratio_beyond_a_size_and_by_size_alone(
    root: Path, monkeypatch: Any
) -> None:
    for name, value in (
        ("BOMB_BYTES", 1000),
        ("BOMB_RATIO", 10),
        ("MOST_BYTES", 100_000),
        ("MOST_MEMBERS", 3),
    ):
        monkeypatch.setattr(drops, name, value)
    for fine in ((1000, 1, 3), (2000, 200, 1), (100_000, 10_000, 0)):
        drops.check_inflated("x", *fine)
    for bomb in ((1001, 1, 1), (2001, 200, 1), (100_001, 100_001, 1), (1, 1, 4), (1001, 0, 1)):
        with pytest.raises(ContractError, match=r"inflate|members"):
            drops.check_inflated("x", *bomb)
    (root / "in" / "a.gz").write_bytes(gzip.compress(bytes(1000)))
    assert found(root, "in/a.gz") == {"in/a.gz": bytes(1000)}
    (root / "in" / "a.gz").write_bytes(gzip.compress(bytes(1001)))
    with pytest.raises(ContractError, match="inflates to more than 1,001 bytes"):
        found(root, "in/a.gz")
    (root / "in" / "p").write_bytes(bytes(100_000))
    assert len(found(root, "in/p")["in/p"]) == 100_000
    (root / "in" / "p").write_bytes(bytes(100_001))
    with pytest.raises(ContractError, match="inflates to more than"):
        found(root, "in/p")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("year=2024/month=02/a.csv", {"year": "2024", "month": "02"}),
        ("a.csv", {}),
        ("plain/a=b.csv", {}),
        ("x=1=2/a.csv", {"x": "1=2"}),
        ("place=S%C3%BCd%2F1/a", {"place": "Süd/1"}),
        ("x=__HIVE_DEFAULT_PARTITION__/a", {"x": None}),
        ("x=/a", {"x": ""}),
        ("=1/a", {}),
        ("d=1/b.zip!e=2/a.csv", {"d": "1", "e": "2"}),
    ],
)
def test_folders_say_what_holds_of_all_rows_below_them(name: str, said: dict[str, Any]) -> None:
    assert partitions(name) == said


def test_what_programs_leave_is_litter_unless_it_is_called_by_its_name() -> None:
    for name in (".DS_Store", "Thumbs.DB", "a.CSV~", "~$a.xlsx", "x/.git/a", "a.part", "a.sha256"):
        assert is_litter(name) and is_litter(f"in/{name}", "in/*")
    for name in ("a.csv", "part", "in/tmp/a.csv", "partial.csv"):
        assert not is_litter(name)
    assert not is_litter("in/.hidden/a.csv", "in/.hidden/*") and is_litter(".in/a.csv", "*/*")

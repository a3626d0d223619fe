"""A backup is whole wherever the ledger lives, its owner's alone, and comes back whole or not at
all."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import uuid
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from pyrage import x25519

from models.domain import OrderLine
from orchestration.app import home_backup
from orchestration.home import Home, HomeError
from orchestration.home.archive_file import restore as restore_files
from orchestration.home.encrypted_file import MARK
from orchestration.landing import ContractError
from orchestration.landing.contract.privacy import PrivacyKey
from orchestration.ledger import Ledger, Partner
from orchestration.ledger.schema import metadata, requests, webhooks
from orchestration.ledger.store import make_engine

NOW = datetime(2026, 1, 5)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home.found(tmp_path / "home", "w")


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Where the ledger lives: a fresh PostgreSQL database."""
    url = os.environ.get("STOCKHOUSE_POSTGRES_URL")
    if not url:
        pytest.skip("STOCKHOUSE_POSTGRES_URL names no PostgreSQL server")
    name = f"backup_{uuid.uuid4().hex}"
    engine = make_engine(url).execution_options(isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f'CREATE DATABASE "{name}"'))
    own = sa.make_url(url).set(database=name).render_as_string(hide_password=False)
    monkeypatch.setenv("STOCKHOUSE_LEDGER_URL", own)
    yield own
    with engine.connect() as connection:
        connection.execute(sa.text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    engine.dispose()


def work(home: Home, item: str) -> None:
    """Orders in every stage and messages both ways, so that no table of the ledger is empty."""
    ledger = Ledger.open(home.ledger_url)
    line = OrderLine(
        world="w",
        kind="purchase",
        item_id=item,
        location_id="DC",
        from_id="S1",
        quantity=10,
        review_period=date(2026, 1, 5),
        due_on=date(2026, 1, 20),
        unit_cost=2.5,
        parts={},
        reason="",
    )
    ledger.propose([line], "run 1", NOW, scope=[(item, "DC")])
    ledger.approve_within_limits(NOW)
    partner = Partner("S1", str(home.state / "partners" / "S1"), "GBP")
    ledger.send({"S1": partner}, NOW)
    ledger.receive(b"rubbish about " + item.encode(), partner, NOW)
    ledger.close()
    at, engine = NOW.isoformat(timespec="microseconds"), make_engine(home.ledger_url)
    key = {"request_id": item, "fingerprint": "f", "token_id": "t", "recorded_at": at}
    told = {"name": item, "attempts": 0, "next_at": at, "claimed_until": "", "last_error": ""}
    with engine.begin() as connection:
        connection.execute(sa.insert(requests), [key | {"after_seq": 1, "last_seq": 2}])
        connection.execute(sa.insert(webhooks), [told | {"after_seq": 2}])
    engine.dispose()


def content(url: str) -> dict[str, list[tuple]]:
    """Every row of a ledger, table by table."""
    engine = make_engine(url)
    with engine.connect() as connection:
        rows = {
            t.name: sorted(map(tuple, connection.execute(sa.select(t))), key=repr)
            for t in metadata.sorted_tables
        }
    engine.dispose()
    return rows


def audit(url: str) -> list[str]:
    ledger = Ledger.open(url)
    found = ledger.audit()
    ledger.close()
    return found


@pytest.mark.service
def test_a_postgresql_ledger_is_in_the_backup_and_comes_back_into_the_home(
    home, server, tmp_path, monkeypatch
):
    work(home, "mug")
    before = content(server)
    assert all(before.values())
    backup = home_backup.backup(home, tmp_path / "b.tar.gz")
    monkeypatch.delenv("STOCKHOUSE_LEDGER_URL")
    second = home_backup.restore(backup, tmp_path / "second")
    assert content(second.ledger_url) == before
    assert audit(second.ledger_url) == []
    work(second, "cup")
    assert audit(second.ledger_url) == []


@pytest.mark.service
def test_it_comes_back_into_an_empty_server_whole_and_what_a_server_has_is_never_overwritten(
    home, server, tmp_path
):
    work(home, "mug")
    before = content(server)
    backup = home_backup.backup(home, tmp_path / "b.tar.gz")
    # the server still has all of it: it is kept
    kept = home_backup.restore(backup, tmp_path / "kept")
    work(kept, "cup")
    later = content(server)
    home_backup.restore(backup, tmp_path / "later")
    assert content(server) == later
    engine = make_engine(server)
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
    home_backup.restore(backup, tmp_path / "second")
    assert content(server) == before
    assert audit(server) == []
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public")
    engine.dispose()
    work(home, "jar")
    other = content(server)
    with pytest.raises(HomeError, match="other things happened"):
        home_backup.restore(backup, tmp_path / "third")
    assert content(server) == other
    assert not (tmp_path / "third" / "state").exists()


@pytest.mark.service
def test_a_ledger_of_the_home_moves_to_an_empty_server_with_its_backup(
    home, server, tmp_path, monkeypatch
):
    monkeypatch.delenv("STOCKHOUSE_LEDGER_URL")
    work(home, "mug")
    before = content(home.ledger_url)
    backup = home_backup.backup(home, tmp_path / "b.tar.gz")
    monkeypatch.setenv("STOCKHOUSE_LEDGER_URL", server)
    home_backup.restore(backup, tmp_path / "second")
    assert content(server) == before


def test_the_key_of_the_customers_is_in_no_backup_and_comes_back_for_its_user_alone(
    home, tmp_path, monkeypatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "mine"))
    monkeypatch.delenv("STOCKHOUSE_PRIVACY_KEY", raising=False)
    key = PrivacyKey.of(home.state)
    backup = home_backup.backup(home, tmp_path / "b.tar.gz")
    with tarfile.open(backup) as archive:
        kept = [
            archive.extractfile(member).read() for member in archive.getmembers() if member.isfile()
        ]
    assert not any(key.secret in content for content in kept)
    second = home_backup.restore(backup, tmp_path / "second")
    assert PrivacyKey.of(second.state) == key
    home_backup.backup(second, tmp_path / "c.tar.gz")
    (own,) = (tmp_path / "mine").rglob("*.key")
    assert stat.S_IMODE(own.stat().st_mode) == 0o600
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "somebody else"))
    third = home_backup.restore(tmp_path / "c.tar.gz", tmp_path / "third")
    with pytest.raises(ContractError, match="restored without its key"):
        PrivacyKey.of(third.state)
    (third.state / "privacy.key").write_bytes(key.secret)
    assert PrivacyKey.of(third.state) == key


def test_a_ledger_that_cannot_be_read_makes_no_backup(home, tmp_path, monkeypatch):
    monkeypatch.setenv(
        "STOCKHOUSE_LEDGER_URL", "postgresql://me:hush@127.0.0.1:9/nowhere?connect_timeout=2"
    )
    with pytest.raises(Exception) as caught:
        home_backup.backup(home, tmp_path / "b.tar.gz")
    assert "hush" not in str(caught.value)
    assert list(tmp_path.glob("*b.tar.gz*")) == []


def test_whatever_a_home_and_its_backup_hold_is_their_owner_s_alone_from_birth(tmp_path):
    before = os.umask(0o022)
    try:
        home = Home.found(tmp_path / "home", "w")
        work(home, "mug")
        backup = home_backup.backup(home, tmp_path / "b.tar.gz")
        second = home_backup.restore(backup, tmp_path / "second")
    finally:
        os.umask(before)
    paths = [home.root, second.root, backup, *home.root.rglob("*"), *second.root.rglob("*")]
    assert len(paths) > 20
    assert [path for path in paths if stat.S_IMODE(path.lstat().st_mode) & 0o077] == []


def test_a_backup_with_open_modes_links_or_ways_out_is_made_private_or_refused(tmp_path):
    def packed(name: str, odd: tarfile.TarInfo) -> Path:
        with tarfile.open(tmp_path / name, "w:gz") as archive:
            world = tarfile.TarInfo("world")
            world.size, world.mode = 2, 0o777
            archive.addfile(world, io.BytesIO(b"w\n"))
            archive.addfile(odd, io.BytesIO(b""))
        return tmp_path / name

    climbing, link = tarfile.TarInfo("../../climbed"), tarfile.TarInfo("passwd")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    for name, odd in (("climbing", climbing), ("link", link)):
        with pytest.raises(HomeError, match="cannot be restored"):
            restore_files(packed(name, odd), tmp_path / f"home of {name}")
        assert not (tmp_path / f"home of {name}" / "state").exists()
    restored = restore_files(packed("fine", tarfile.TarInfo("empty")), tmp_path / "fine home")
    assert stat.S_IMODE((restored.state / "world").stat().st_mode) == 0o600


def key_file(folder: Path, name: str = "key.txt") -> tuple[Path, str]:
    """A private key as `age-keygen` writes it, and its public one."""
    own = x25519.Identity.generate()
    (folder / name).write_text(f"# created: today\n{own}\n", encoding="utf-8")
    return folder / name, str(own.to_public())


def test_an_encrypted_backup_opens_for_each_of_its_keys_and_for_nobody_else(home, tmp_path):
    work(home, "apples")
    (own, public), (second, also), (stranger, _) = (
        key_file(tmp_path, name) for name in ("a", "b", "c")
    )
    sealed = home_backup.backup(home, tmp_path / "backup.tar.gz.age", [public, also])
    assert sealed.read_bytes().startswith(MARK)
    assert not tarfile.is_tarfile(sealed)
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o600
    for identity in (own, second):
        back = home_backup.restore(sealed, tmp_path / f"back-{identity.name}", identity)
        assert content(back.ledger_url) == content(home.ledger_url)
    for identity, said in (
        (None, "--identity"),
        (stranger, "cannot be opened by the key"),
        (tmp_path / "nothing", "holds no private key"),
        (sealed, "holds no private key"),
    ):
        with pytest.raises(HomeError, match=said):
            home_backup.restore(sealed, tmp_path / "refused", identity)
    assert not (tmp_path / "refused").exists()


def test_the_customers_key_travels_encrypted_or_not_at_all(home, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "nobody"))
    monkeypatch.delenv("STOCKHOUSE_PRIVACY_KEY", raising=False)
    key = PrivacyKey.of(home.state)
    with pytest.raises(HomeError, match="--encrypt-to"):
        home_backup.backup(home, tmp_path / "open.tar.gz", with_key=True)
    with pytest.raises(HomeError, match="is no public key"):
        home_backup.backup(home, tmp_path / "open.tar.gz", ["my password"])
    assert not (tmp_path / "open.tar.gz").exists()
    identity, public = key_file(tmp_path)
    sealed = home_backup.backup(home, tmp_path / "backup.age", [public], with_key=True)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "elsewhere"))
    back = home_backup.restore(sealed, tmp_path / "back", identity)
    assert PrivacyKey.of(back.state) == key

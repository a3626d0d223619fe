"""A file is there whole and on the disk, or not at all; and one place in the platform knows how."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from orchestration.home import files

ROOT = Path(__file__).resolve().parents[2]
#: Where a rename is something else: a protocol over many files at once, a name that is the hash of
#: what was written, a folder that
#: others may write into and so is only looked at through its open descriptor, and the room that
#: knows nothing of this one.
ELSEWHERE = {
    "feature_repo/registry.py",  # imports nothing of orchestration
    "orchestration/landing/load/store.py",
    "orchestration/intake/deliveries.py",
    "orchestration/ledger/folders.py",
    "feature_repo/warehouse.py",
}


@pytest.mark.parametrize("content", ["text", b"bytes", "", "grüße"])
def test_what_is_written_is_there_and_nothing_beside_it(
    tmp_path: Path, content: str | bytes
) -> None:
    target = tmp_path / "deep" / "file"
    files.write(target, "old")
    files.write(target, content)
    assert target.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("is_folder", [False, True])
def test_an_error_on_the_way_leaves_the_old_one_and_nothing_beside_it(
    tmp_path: Path, is_folder: bool
) -> None:
    target = tmp_path / "target"
    files.write(target / "page" if is_folder else target, "old")
    with pytest.raises(RuntimeError), files.replacing(target) as aside:
        if is_folder:
            aside.mkdir()
        (aside / "page" if is_folder else aside).write_text("half")
        raise RuntimeError
    assert (target / "page" if is_folder else target).read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_folder_takes_a_folder_s_place_whole(tmp_path: Path) -> None:
    target = tmp_path / "site"
    for name in ("first", "second"):
        with files.replacing(target) as aside:
            aside.mkdir()
            (aside / name).write_text(name)
    assert [path.name for path in target.iterdir()] == ["second"]
    assert list(tmp_path.iterdir()) == [target]


def test_a_link_is_switched_in_one_step(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        with files.replacing(tmp_path / "current") as link:
            link.symlink_to(name)
    assert (tmp_path / "current").readlink() == Path("two")


def test_bytes_are_on_the_disk_before_the_name_and_the_name_before_the_return(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    sync, replace = os.fsync, os.replace

    def noted_sync(handle: int) -> None:
        done.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file")
        sync(handle)

    def noted_replace(old: Path, new: Path) -> None:
        done.append("name")
        replace(old, new)

    monkeypatch.setattr(os, "fsync", noted_sync)
    monkeypatch.setattr(os, "replace", noted_replace)
    files.write(tmp_path / "file", "text")
    assert done == ["file", "name", "folder"]


def test_a_secret_is_never_readable_by_others(tmp_path: Path) -> None:
    files.write(tmp_path / "key", "secret", mode=0o600)
    assert stat.S_IMODE((tmp_path / "key").stat().st_mode) == 0o600


def test_what_a_killed_writer_left_is_swept_away(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), files.replacing(tmp_path / "kept") as aside:
        left = aside.with_name(aside.name.replace("kept", "other"))
        left.write_text("half")
        raise KeyboardInterrupt
    (tmp_path / "kept").write_text("whole")
    files.sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


@pytest.mark.parametrize("room", ["orchestration", "feature_repo", "models"])
def test_nothing_else_writes_aside_and_renames(room: str) -> None:
    places = r"\b(path|file|folder|aside|written|unfinished|waiting|target)"
    renames = re.compile(
        rf"os\.(replace|rename)\(|{places}\.(replace|rename)\(|\.with_suffix\(.\.(part|new|writing)"
    )
    found = {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / room).rglob("*.py")
        if path != Path(files.__file__) and renames.search(path.read_text(encoding="utf-8"))
    }
    assert found <= ELSEWHERE


def test_names_and_values_are_quoted_in_one_place_a_room() -> None:
    by_hand = re.compile(r"""replace\(('"'|chr\(34\)|"'"|chr\(39\)), """)
    found = {
        path.relative_to(ROOT).as_posix()
        for room in ("orchestration", "feature_repo")
        for path in (ROOT / room).rglob("*.py")
        if by_hand.search(path.read_text(encoding="utf-8"))
    }
    assert found == {"orchestration/home/sql.py", "feature_repo/asof.py"}

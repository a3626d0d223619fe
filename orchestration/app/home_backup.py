"""A backup that is whole: state/ and, where the ledger lives in PostgreSQL, the ledger with it; and
the way back."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from models.safe_names import name_of
from orchestration.home import Home, HomeError, files
from orchestration.home import archive_file as files_of
from orchestration.home.encrypted_file import decrypted
from orchestration.landing.contract import privacy
from orchestration.ledger import Ledger, LedgerError, checkpoints, copying

#: A PostgreSQL ledger in a backup, as SQLite: every row of it, readable without a server.
COPY = "ledger-of-postgresql.sqlite"
OWN = "ledger.sqlite"
#: A SQLite ledger that stood beside one in PostgreSQL, and was not in use.
UNUSED = "ledger-unused.sqlite"


def backup(
    home: Home, target: Path, public_keys: Sequence[str] = (), *, with_key: bool = False
) -> Path:
    """Write all that cannot be made again into one .tar.gz, wherever the ledger lives, encrypted
    to the public keys where some are given.

    with_key: with the key of the customers in it. Without, a copy of the key stays with the user
    who made the backup, which says only which one it is. Raises LedgerError where the ledger cannot
    be read, HomeError for what is no public key, and for the customers' key in the clear.
    """
    if with_key and not public_keys:
        raise HomeError(
            "the key of the customers is in no backup that everybody can read: say to whom it is "
            "encrypted, --encrypt-to age1…"
        )
    with tempfile.TemporaryDirectory() as scratch:
        beside: dict[str, Path] = {}
        if not home.is_ledger_within:
            beside[COPY] = Path(scratch) / COPY
            copying.copy(home.ledger_url, _sqlite(beside[COPY]))
        key = home.state / privacy.FILE
        if key.exists():
            fingerprint = privacy.PrivacyKey.read(key).fingerprint
            files.write(_aside(fingerprint), key.read_bytes(), mode=0o600)
            beside[privacy.FINGERPRINT] = Path(scratch) / privacy.FINGERPRINT
            beside[privacy.FINGERPRINT].write_text(fingerprint + "\n", encoding="utf-8")
        # the key of the checkpoints vouches for this home's ledger; a restored one gets its own
        without = {privacy.FILE, privacy.FINGERPRINT, checkpoints.KEY_FILE, checkpoints.FILE}
        without -= {privacy.FILE} if with_key else set()
        return files_of.backup(home, target, beside, without=without, public_keys=public_keys)


def _aside(fingerprint: str) -> Path:
    """Where a user's copy of a key lies, outside every home and every backup."""
    state = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(state) / "stockhouse" / "keys" / f"{name_of(fingerprint)}.key"


def _bring_key(home: Home) -> None:
    """Put the user's copy of the key back, where there is one; without it the next landing asks for
    it."""
    said = home.state / privacy.FINGERPRINT
    if said.exists() and (kept := _aside(said.read_text(encoding="utf-8").strip())).exists():
        files.write(home.state / privacy.FILE, kept.read_bytes(), mode=0o600)


def restore(source: Path, root: Path, identity: Path | None = None) -> Home:
    """Bring a backup into a new home, and its ledger to where STOCKHOUSE_LEDGER_URL says, else into
    the home.

    identity: the file of the private key that opens an encrypted one. A ledger in PostgreSQL that
    is empty gets every row; one that has all that the backup's has, or more, is kept as it is.
    Raises HomeError for any other one, and for a backup that cannot be opened, before anything is
    changed.
    """
    if not source.is_file():
        raise HomeError(f"there is no backup at {source}")
    with decrypted(source, identity) as plain:
        return _restore(plain, root)


def _restore(source: Path, root: Path) -> Home:
    home = Home(root.resolve())
    if not home.is_ledger_within:
        with tempfile.TemporaryDirectory() as scratch:
            kept = files_of.one_of(source, (COPY, OWN), Path(scratch))
            if kept is not None and not (
                copying.is_empty(home.ledger_url) or copying.holds(home.ledger_url, _sqlite(kept))
            ):
                raise HomeError(
                    "STOCKHOUSE_LEDGER_URL names a ledger in which other things happened than in "
                    "the backup's. Unset it to "
                    "restore the ledger into the home, or name an empty database. Nothing was "
                    "changed."
                )
    _bring_key(files_of.restore(source, root))
    copy, own = home.state / COPY, home.state / OWN
    try:
        if home.is_ledger_within and copy.exists():
            if own.exists():
                own.rename(home.state / UNUSED)
            copy.rename(own)
        elif not home.is_ledger_within:
            kept = next((path for path in (copy, own) if path.exists()), None)
            if kept is not None and copying.is_empty(home.ledger_url):
                copying.copy(_sqlite(kept), home.ledger_url)
            copy.unlink(missing_ok=True)
    except (LedgerError, OSError):
        shutil.rmtree(home.state, ignore_errors=True)  # half a restore would look like a home
        raise
    if home.has_ledger:
        ledger = Ledger.of(home)
        try:
            ledger.anchor()
        finally:
            ledger.close()
    return Home.open(root)


def _sqlite(path: Path) -> str:
    return f"sqlite:///{path}"

"""Customers at the door: whoever bought is stored as a keyed hash, which is the same for the same
customer and tells nobody who it is.

The hash is HMAC-SHA256, computed in SQL and cut to 32 hex characters. The key comes from
STOCKHOUSE_PRIVACY_KEY or, where that is unset, from a file beside the archive that is made once.
SQL, logs and the manifest never hold it: a session knows it as two variables.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from orchestration.home import files
from orchestration.landing.contract.errors import ContractError

VARIABLE = "STOCKHOUSE_PRIVACY_KEY"
FILE = "privacy.key"
#: Says which key a restored home needs, where a backup came without it.
FINGERPRINT = "privacy.fingerprint"
# characters; customer ids are few enough to be tried one by one, so the key must not be
SHORTEST = 16
BLOCK = 64  # bytes of SHA-256's block
DIGITS = 32  # of the hash that are kept
#: What the fingerprint is a hash of; no delivered id begins with a zero byte.
OWN_MARK = b"\0stockhouse customer key"


@dataclass(frozen=True)
class PrivacyKey:
    """The secret that customers are hashed with; it is never printed."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, state: Path) -> PrivacyKey:
        """The key of a home: from the environment, else from state/privacy.key, made once. Raises
        ContractError where it is too short."""
        given = os.environ.get(VARIABLE)
        file = state / FILE
        if not given and not file.exists():
            if (state / FINGERPRINT).exists():
                mend = f"put the key that customers were hashed with back there, or into {VARIABLE}"
                raise ContractError(
                    "the home was restored without its key", where=str(file), mend=mend
                )
            _make(file)
        text = given or file.read_text(encoding="utf-8").strip()
        if len(text) < SHORTEST:
            place, mend = (
                (VARIABLE, "openssl rand -hex 32 makes one")
                if given
                else (str(file), "restore state/ from a backup")
            )
            raise ContractError(
                f"the key is shorter than {SHORTEST} characters", where=place, mend=mend
            )
        return cls(text.encode())

    @classmethod
    def read(cls, file: Path) -> PrivacyKey:
        """The key in a file."""
        return cls(file.read_text(encoding="utf-8").strip().encode())

    @property
    def fingerprint(self) -> str:
        """Tells one key from another and tells nothing about it."""
        return hmac.new(self.secret, OWN_MARK, hashlib.sha256).hexdigest()[:DIGITS]

    def unlock(self, con: duckdb.DuckDBPyConnection) -> None:
        """Give this connection, and no other, the macro `keyed_hash(text)`: HMAC-SHA256(key, text),
        null for null."""
        block = (
            self.secret if len(self.secret) <= BLOCK else hashlib.sha256(self.secret).digest()
        ).ljust(BLOCK, b"\0")
        con.execute("SET VARIABLE customer_inner = ?", [bytes(byte ^ 0x36 for byte in block)])
        con.execute("SET VARIABLE customer_outer = ?", [bytes(byte ^ 0x5C for byte in block)])
        con.execute("SET VARIABLE customer_key = ?", [self.fingerprint])
        inner = "sha256(getvariable('customer_inner') || encode(text))"
        con.execute(
            f"""CREATE OR REPLACE TEMP MACRO keyed_hash(text) AS
            left(sha256(getvariable('customer_outer') || unhex({inner})), {DIGITS})"""
        )


def key_in_use(con: duckdb.DuckDBPyConnection) -> str:
    """The fingerprint of the key that a session hashes with; empty where its world names no
    customer."""
    row = con.execute("SELECT coalesce(getvariable('customer_key'), '')").fetchone()
    return str(row[0]) if row else ""


def hidden(sql: str) -> str:
    """The keyed hash of a value of any type, as SQL for a session."""
    return f"keyed_hash(CAST({sql} AS VARCHAR))"


def _make(file: Path) -> None:
    """A new random key, readable by its owner alone, whole from the moment it appears."""
    files.write(file, secrets.token_hex(32) + "\n", mode=0o600)

"""Files that nobody reads but who holds a key, written in the format of age
(age-encryption.org/v1), so that every tool that knows it opens them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import pyrage
from pyrage import ssh, x25519

from orchestration.home.home import HomeError

#: How such a file begins.
MARK = b"age-encryption.org/v1\n"
#: An identity file is a few lines.
LARGEST_IDENTITY = 100_000


@contextmanager
def encrypting(sink: BinaryIO, public_keys: Sequence[str]) -> Iterator[BinaryIO]:
    """A stream of which `sink` gets the bytes encrypted to each of the public keys (age1…, or of
    SSH), as they come: nothing plain is written anywhere. Without keys it is the sink itself.

    Raises HomeError for what is no public key.
    """
    if not public_keys:
        yield sink
        return
    recipients = [_recipient(one) for one in public_keys]
    source_end, plain_end = os.pipe()

    def encrypt() -> None:
        with os.fdopen(source_end, "rb") as source:
            pyrage.encrypt_io(source, sink, recipients)

    with ThreadPoolExecutor(max_workers=1) as pool:
        done = pool.submit(encrypt)
        with os.fdopen(plain_end, "wb") as plain:
            yield plain
        done.result()


@contextmanager
def decrypted(source: Path, identity: Path | None) -> Iterator[Path]:
    """The file itself where it is not encrypted, else its content in a file that is gone
    afterwards, opened by the private key in `identity` (age's own, or of SSH).

    Raises HomeError where the key lacks, cannot be read or opens it not.
    """
    with source.open("rb") as file:
        is_encrypted = file.read(len(MARK)) == MARK
    if not is_encrypted:
        yield source
        return
    if identity is None:
        raise HomeError(f"{source} is encrypted: give the file of its private key, --identity FILE")
    keys = _identities(identity)
    with tempfile.TemporaryDirectory() as scratch:
        plain = Path(scratch) / "plain"
        plain.touch(mode=0o600)
        try:
            pyrage.decrypt_file(str(source), str(plain), keys)
        except (pyrage.DecryptError, OSError) as error:
            raise HomeError(
                f"{source} cannot be opened by the key in {identity}: {error}. Nothing was changed."
            ) from error
        yield plain


def _recipient(public_key: str) -> x25519.Recipient | ssh.Recipient:
    kind = ssh if public_key.startswith("ssh-") else x25519
    try:
        return kind.Recipient.from_str(public_key.strip())
    except pyrage.RecipientError as error:
        raise HomeError(
            f"{public_key[:40]!r} is no public key: give one of age (age1…, as `age-keygen` shows "
            "it) or of SSH (ssh-ed25519 …)"
        ) from error


def _identities(path: Path) -> list[x25519.Identity | ssh.Identity]:
    """The private keys in a file, as `age-keygen` or `ssh-keygen` wrote it."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_IDENTITY)
        if content.startswith(b"-----BEGIN"):
            return [ssh.Identity.from_buffer(content)]
        lines = [line.strip() for line in content.decode("utf-8").splitlines()]
        found = [x25519.Identity.from_str(one) for one in lines if one and one[0] != "#"]
    except (OSError, UnicodeDecodeError, pyrage.IdentityError) as error:
        raise HomeError(f"{path} holds no private key of age or SSH: {error}") from error
    if not found:
        raise HomeError(f"{path} holds no private key of age or SSH")
    return list(found)

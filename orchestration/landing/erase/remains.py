"""Where a forgotten customer's id still stands: in a comment, an item's name, a spelling that the
contract tells apart, a log. What no rule of replacement reaches, a person has to know of."""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator
from pathlib import Path

#: Shorter ids are numbers that stand everywhere: nothing is said of them.
SHORTEST = 5
#: An id of so many signs is no chance in the pages of a database.
TELLING = 8
PAGE = 8_192
ENCODINGS = ("utf-8", "utf-16-le", "utf-16-be")


def remains(root: Path, customer: str) -> list[str]:
    """The files under `root`, by their paths below it, that hold the id standing alone, in capitals
    or small letters, as text in UTF-8 or UTF-16. What is compressed inside a file is not seen."""
    if sum(letter.isalnum() for letter in customer) < SHORTEST:
        return []
    anywhere = [re.escape(customer.encode(name)) for name in ENCODINGS]
    letter = rb"[0-9A-Za-z\x80-\xff]"
    alone = [rb"(?<!%b)%b(?!%b)" % (letter, anywhere[0], letter), *anywhere[1:]]
    in_text = re.compile(b"|".join(alone), re.IGNORECASE)
    # in a database's pages lengths and signs stand side by side, and no blank between them
    is_telling = len(customer) >= TELLING
    in_pages = re.compile(b"|".join(anywhere if is_telling else alone), re.IGNORECASE)
    return sorted(_holding(root, in_text, in_pages))


def _holding(root: Path, in_text: re.Pattern[bytes], in_pages: re.Pattern[bytes]) -> Iterator[str]:
    for path in root.rglob("*"):
        if path.is_symlink() or not path.is_file() or not path.stat().st_size:
            continue
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
        ):
            words = in_pages if b"\0" in content[:PAGE] else in_text
            if words.search(content):
                yield path.relative_to(root).as_posix()

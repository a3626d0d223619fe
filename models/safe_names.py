"""One name for anything: what an id from the data is called where it becomes a file, a header, a
part of a URL or of a command."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from base64 import b32encode

#: What a name may have at most, in characters, each of one byte.
LONGEST = 80
#: Stands before the hash, and so in no name that is its id's own spelling.
MARK = "+"
DIGITS = 12  # of the hash, five bits each: enough that nobody finds a second id for a given name
PLAIN = re.compile(r"[A-Z0-9_][A-Z0-9_-]*")
#: Names that Windows keeps for devices, in any folder.
DEVICES = re.compile(r"CON|PRN|AUX|NUL|(COM|LPT)[0-9]")


def name_of(*ids: str) -> str:
    """The one safe name of an id, or of several that mean something together: `S1`, `S1-DC`,
    `A_B_Ltd+3f5qkz2m7xwa`.

    An id of capitals, digits, `_` and `-` is its own name. Whatever had to be escaped or cut (lower
    case too, since some disks tell `s1` and `S1` not apart) ends in a hash of what was meant, so
    that two ids never share a name, and no id can be spelt like another's name. At most LONGEST
    characters of [A-Za-z0-9_+-], never beginning with `-`: no path, option, header or markup.
    """
    spelt = "-".join(ids)
    is_whole = len(ids) == 1 or not any("-" in part for part in ids)
    if (
        is_whole
        and len(spelt) <= LONGEST
        and PLAIN.fullmatch(spelt)
        and not DEVICES.fullmatch(spelt)
    ):
        return spelt
    text = "".join(f"{len(part)}:{part}" for part in ids).encode("utf-8", "surrogatepass")
    digest = b32encode(hashlib.sha256(text).digest()).decode().lower()[:DIGITS]
    return f"{readable(spelt)[: LONGEST - DIGITS - len(MARK)]}{MARK}{digest}"


def readable(text: str) -> str:
    """What of a text can be read in plain ASCII letters, digits, `_` and `-`: accents go, every
    other sign becomes `_`."""
    letters = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_-]+", "_", letters).lstrip("-") or "_"


def legible(text: str, most: int = 300) -> str:
    """A text from outside as a message may repeat it: signs nobody sees (controls, lone surrogates)
    stand as `?`, and it ends."""
    seen = "".join(sign if sign.isprintable() else "?" for sign in text[: most + 1])
    return seen if len(text) <= most else seen[:most] + "…"

"""Who acts: a name as the ledger compares it, so that nobody becomes a second person by spelling theirs another way."""

from __future__ import annotations

import unicodedata

#: Who acts by itself; no person may sign as one of these.
MACHINES = frozenset({"approval matrix", "reaction", "planner", "erp", "stockhouse"})
#: A name longer than this is no name.
LONGEST = 100
#: Letters of other scripts that look like Latin ones (the single letters of Unicode TR 39's confusables).
_LOOKALIKES = str.maketrans(
    {
        **dict(zip("асеорхуіјѕһԁԛԝкмнтв", "aceopxyijshdqwkmhtb", strict=True)),
        **dict(zip("αορντυχικε", "aopvtuxike", strict=True)),
    }
)
_SCRIPTS = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "HEBREW", "ARABIC", "CHEROKEE")


def principal(name: str) -> str:
    """The name two spellings of one person share: compatible forms, case, blanks and invisible signs do not count.

    Raises ValueError for no name, one over 100 characters, and one whose letters come from several scripts.
    """
    folded = unicodedata.normalize("NFKC", name).casefold()
    shown = "".join(sign for sign in folded if unicodedata.category(sign) not in ("Cf", "Cc", "Mn"))
    words = " ".join(unicodedata.normalize("NFKC", shown).split())
    if not words:
        raise ValueError("nobody is named: say who does this")
    if len(words) > LONGEST:
        raise ValueError(f"a name has at most {LONGEST} characters, not {len(words)}")
    scripts = {script for letter in words if letter.isalpha() for script in _SCRIPTS if unicodedata.name(letter, "").startswith(script)}
    if len(scripts) > 1:
        mixed = " and ".join(sorted(script.title() for script in scripts))
        raise ValueError(f"the name {words!r} mixes {mixed} letters: write it in one script")
    return words


def person(name: str) -> str:
    """A person's name as it is kept: as typed, without invisible signs and doubled blanks.

    Raises ValueError as `principal` does, and for the name of a machine.
    """
    if is_same(name, *MACHINES):
        raise ValueError(f"{name.strip()!r} is what the machine signs with: give a person's name")
    shown = "".join(sign for sign in unicodedata.normalize("NFKC", name) if unicodedata.category(sign) not in ("Cf", "Cc"))
    return " ".join(shown.split())


def is_same(name: str, *others: str) -> bool:
    """Whether a name is, or looks like, one of the others."""
    skeleton = principal(name).translate(_LOOKALIKES)
    return any(skeleton == principal(other).translate(_LOOKALIKES) for other in others if other.strip())

"""Who acts: one spelling for one person, however the name is typed, so that nobody is two people by
a look-alike letter.

A name is prepared as PRECIS's UsernameCaseMapped does (RFC 8265: width, blanks and case folded, one
composition) and signs that nobody sees are dropped. Two names are one to an eye where their
skeletons are equal (Unicode TS 39).
"""

from __future__ import annotations

import unicodedata

from models.safe_names import legible

#: The machine's own actors: what the line, the matrix and the senders do by themselves. No person
#: may be called so.
PLANNER, REACTION, MATRIX, MATCH, SENDER, ERP = (
    "planner",
    "reaction",
    "approval matrix",
    "three-way match",
    "outbox",
    "erp",
)
MACHINES = (PLANNER, REACTION, MATRIX, MATCH, SENDER, ERP, "stockhouse")
#: Characters a name may have: what the ledger's column holds, with room for what a face adds.
LONGEST = 64

#: Signs that show nothing and are no format signs (Cf) to Unicode: fillers, joiners, variation
#: selectors, the blank of Braille.
UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u3164\uffa0\u2800") | {
    chr(code)
    for first, last in ((0xFE00, 0xFE0F), (0xE0100, 0xE01EF))
    for code in range(first, last + 1)
}
#: Scripts that are written together; a name in two others is somebody's disguise (TS 39, highly
#: restrictive).
TOGETHER = frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA", "HANGUL", "BOPOMOFO"})
#: What looks like a small Latin letter, a digit or a sign: Cyrillic, Greek, Armenian, phonetic
#: letters (of TS 39's confusables).
LOOK_ALIKES = {
    "a": "аαɑ",
    "b": "ƅьв",
    "c": "сϲᴄ",
    "d": "ԁɗ",
    "e": "еҽ",
    "g": "ɡցɢ",
    "h": "һհнʜ",
    "j": "јϳյ",
    "k": "кκᴋ",
    "l": "i1|іӏǀıɪɩιӀⵏʟ",
    "m": "мᴍ",
    "n": "пոռηɴ",
    "o": "0оοօ",
    "p": "рρ",
    "q": "ԛգզ",
    "r": "гʀ",
    "s": "ѕʂ",
    "t": "тτ",
    "u": "υսʋ",
    "v": "ѵνᴠ",
    "w": "ԝωшա",
    "x": "хχ",
    "y": "уγүʏ",
    "z": "ᴢ",
    "ü": "ϋ",
    "ï": "їϊ",
    "ë": "ё",
    "æ": "ӕ",
    "-": "‐‑‒–—―−",
    "'": "’‘ʼʹ`´",
    ".": "․·",
}
TABLE = str.maketrans({odd: plain for plain, odds in LOOK_ALIKES.items() for odd in odds})


def principal(name: str) -> str:
    """The one spelling of a name: `Anna  Smith`, full-width, decomposed or with a zero-width space
    inside is `anna smith`.

    Raises ValueError for no name, one that is too long, one with a sign no name has, and letters of
    scripts nobody mixes.
    """
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
    seen = "".join(
        sign for sign in folded if sign not in UNSEEN and unicodedata.category(sign) != "Cf"
    )
    spelt = unicodedata.normalize("NFC", " ".join(seen.split()))
    if not spelt:
        raise ValueError("nobody is named: say who does this; a name has letters")
    shown = legible(spelt, LONGEST)
    if len(spelt) > LONGEST:
        raise ValueError(f"'{shown}' is no name: it has {len(spelt)} characters, {LONGEST} at most")
    if odd := [sign for sign in spelt if unicodedata.category(sign) in ("Cc", "Cs", "Co", "Cn")]:
        raise ValueError(f"'{shown}' is no name: it has the sign U+{ord(odd[0]):04X} in it")
    scripts = {
        unicodedata.name(letter, "UNKNOWN").split()[0]
        for letter in spelt
        if unicodedata.category(letter)[0] == "L"
    }
    if len(scripts) > 1 and not scripts <= TOGETHER:
        mixed = ", ".join(sorted(script.capitalize() for script in scripts))
        raise ValueError(f"'{shown}' mixes letters of {mixed}: spell the name in one script")
    return spelt


def skeleton(name: str) -> str:
    """What a name looks like: equal for two names that an eye takes for one. Raises ValueError as
    `principal` does."""
    # the dot that İ leaves
    seen = "".join(sign for sign in principal(name).translate(TABLE) if sign != "\u0307")
    return seen.replace("rn", "m").replace("vv", "w").replace(" ", "")


def person(name: str) -> str:
    """The one spelling of a person's name. Raises ValueError as `principal` does, and for what
    looks like a machine's."""
    spelt = principal(name)
    if is_same(spelt, *MACHINES):
        raise ValueError(f"'{spelt}' is what the machine signs with: give a person's name")
    return spelt


def spelt(name: str) -> str:
    """The one spelling of a recorded name; as it stands where no person has such a name."""
    try:
        return principal(name)
    except ValueError:
        return name.strip().casefold()


def is_same(name: str, *others: str) -> bool:
    """Whether a name is, or looks like, one of the others; a recorded name that no person has is
    compared as it stands."""
    return _seen(name) in {_seen(other) for other in others}


def _seen(name: str) -> str:
    try:
        return skeleton(name)
    except ValueError:
        return name.strip().casefold()

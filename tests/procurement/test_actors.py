"""An actor is one person, however the name is typed."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.procurement.actors import (
    MACHINES,
    UNSEEN,
    is_same,
    person,
    principal,
    skeleton,
    spelt,
)

DISGUISES = [
    ("anna", "an\u200bna"),
    ("anna", "ａｎｎａ"),
    ("anna", " Anna "),
    ("Émile", "e\u0301mile"),
    ("Émile", "É" + "mile"),
    ("anna smith", "anna  smith"),
    ("anna smith", "anna\u00a0smith"),
    ("anna smith", "anna\u3000smith"),
    ("anna smith", "anna\tsmith"),
    ("STRASSE", "straße"),
    ("straße", "strasse"),
    ("anna", "anna\u200e"),
    ("anna", "\ufeffanna"),
    ("anna", "an\u00adna"),
    ("anna", "an\ufe0fna"),
    ("anna", "an\U000e0101na"),
    ("anna", "an\u034fna"),
    ("anna", "an\u3164na"),
    ("ali", "ⓐⓛⓘ"),
    ("anna", "𝐚𝐧𝐧𝐚"),
    ("finn", "ﬁnn"),
    ("İpek", "i̇pek"),
    ("σωκράτης", "ΣΩΚΡΆΤΗΣ"),
]
ALIKE = [
    ("coco", "сосо"),
    ("hope", "һоре"),
    ("alice", "aIice"),
    ("paul", "pau1"),
    ("bob", "b0b"),
    ("bernard", "bemard"),
    ("anna", "anпa"),
]
#: A script of its own in the middle of another.
MIXED = ["аnna", "аnnа", "αnna", "bοb", "dаn", "ѕam", "anпa"]


@pytest.mark.parametrize(("name", "typed"), DISGUISES)
def test_a_name_has_one_spelling(name, typed):
    assert principal(name) == principal(typed)


@pytest.mark.parametrize("typed", MIXED)
def test_letters_of_two_scripts_are_refused(typed):
    with pytest.raises(ValueError, match="mixes letters"):
        principal(typed)


@pytest.mark.parametrize(("name", "typed"), ALIKE)
def test_names_that_look_alike_are_one_actor(name, typed):
    assert is_same(name, typed) or typed in MIXED


@pytest.mark.parametrize(
    "names",
    [
        ("anna", "hanna"),
        ("ann", "ben"),
        ("émile", "emile"),
        ("li wei", "li bei"),
        ("анна", "инна"),
        ("王", "玉"),
    ],
)
def test_different_people_stay_different(names):
    assert not is_same(*names)


@pytest.mark.parametrize(
    "name",
    ["", " ", "\u200b", "\ufe0f", "a" * 65, "an\x00na", "an\x1bna", "\ud800", "\ue000", "an\u0378"],
)
def test_no_name_is_made_of_nothing_or_of_what_nobody_can_read(name):
    with pytest.raises(ValueError, match=r"nobody|no name"):
        principal(name)


@pytest.mark.parametrize("machine", MACHINES)
def test_no_person_is_called_like_a_machine(machine):
    for typed in (
        machine,
        machine.upper(),
        machine.replace(" ", "  "),
        machine.replace("p", "\u200bp"),
        machine.replace("i", "1"),
    ):
        with pytest.raises(ValueError, match="the machine signs with"):
            person(typed)


@given(st.text(max_size=30), st.sampled_from(sorted(UNSEEN)), st.integers(0, 30))
def test_what_is_not_seen_changes_no_name_and_a_spelling_is_its_own(text, unseen, place):
    try:
        spelt = principal(text)
    except ValueError:
        return
    assert principal(spelt) == spelt
    assert principal(spelt[:place] + unseen + spelt[place:]) == spelt
    assert unicodedata.is_normalized("NFC", spelt)
    assert skeleton(spelt)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("a" * 65, f"'{'a' * 64}…' is no name: it has 65 characters, 64 at most"),
        ("an\x07na", "is no name: it has the sign U\\+0007 in it"),
        ("аnna", "'аnna' mixes letters of Cyrillic, Latin: spell the name in one script"),
    ],
)
def test_what_is_no_name_is_repeated_with_what_is_wrong_in_it(name, why):
    with pytest.raises(ValueError, match=why):
        principal(name)


def test_the_longest_name_and_scripts_that_are_written_together_are_names():
    assert principal("A" * 64) == "a" * 64
    assert principal("山田 ハナコ abc") == "山田 ハナコ abc"
    assert spelt("  \ue000X ") == "\ue000x" and spelt("Anna  Smith") == "anna smith"
    assert is_same("\ue000X", "\ue000x ") and not is_same("\ue000X", "anna")
    assert (skeleton("vvarne"), skeleton("İ rn")) == (skeleton("wame"), "lm")
    assert person("  Anna ") == "anna"

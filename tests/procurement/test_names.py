"""A name for anything: safe wherever it stands, bounded, and never the name of something else."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from models.domain import need_key
from models.safe_names import DEVICES, LONGEST, legible, name_of

#: Texts of any signs, lone surrogates and NUL among them, and such as an attacker or a spreadsheet
#: would write.
ANYTHING = st.text(st.characters(exclude_categories=()), max_size=200)


@given(ANYTHING)
@example("")
@example("../" * 50)
@example("-rf")
@example("con")
@example("\ud800")
def test_a_name_is_safe_as_file_header_url_and_command_word(text):
    name = name_of(text)
    assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_+-]*", name)
    assert len(name) <= LONGEST
    assert not DEVICES.fullmatch(name)


@given(ANYTHING, ANYTHING)
@example("S1", "s1")
@example("S1", "S1 ")
@example("A/B", "A_B")
@example("Müller", "Mu\u0308ller")
@example("X" * 300, "X" * 301)
def test_two_ids_never_share_a_name_even_where_case_does_not_count(one, other):
    assert (name_of(one).lower() == name_of(other).lower()) is (one == other)


@given(ANYTHING)
def test_no_id_can_be_spelt_like_the_name_of_another(text):
    name = name_of(text)
    assert name == text or name_of(name) != name


@given(st.tuples(ANYTHING, ANYTHING), st.tuples(ANYTHING, ANYTHING))
@example(("A-B", "C"), ("A", "B-C"))
@example(("S1", "DC"), ("s1", "dc"))
def test_two_pairs_never_share_a_name(one, other):
    assert (name_of(*one).lower() == name_of(*other).lower()) is (one == other)


def test_ordinary_ids_are_their_own_names():
    assert [name_of(text) for text in ("S1", "SHP00000007", "A-1_B", "4711")] == [
        "S1",
        "SHP00000007",
        "A-1_B",
        "4711",
    ]
    assert name_of("S1", "DC") == "S1-DC"
    assert name_of("Müller & Söhne/Köln").startswith("Muller_Sohne_Koln+")


@given(ANYTHING)
def test_what_a_message_repeats_is_one_short_line_that_any_database_takes(text):
    said = legible(text, 50)
    assert said.isprintable()
    assert len(said) <= 51
    said.encode()


def test_two_needs_never_share_a_key():
    pairs = [("a|b", "c"), ("a", "b|c"), ("a\\", "b|c"), ("a|b\\", "c"), ("a\\|b", "c")]
    pairs += [("a", "b\\|c")]
    assert len(
        {need_key("w", "purchase", item, place, "2026-01-05") for item, place in pairs}
    ) == len(pairs)
    assert need_key("w", "purchase", "mug", "DC", "2026-01-05") == "w|purchase|mug|DC|2026-01-05"

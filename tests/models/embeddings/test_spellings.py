"""The closest spellings are those that comparing with every word gives."""

from hypothesis import given
from hypothesis import strategies as st
from rapidfuzz.distance import OSA

from dragoman_models.embeddings.spellings import Spellings

# Few letters, so that words are close; and some that share a bit.
letters = st.sampled_from("abcABàß¡!東🙂")
words = st.text(letters, min_size=1, max_size=9)


@given(st.lists(words, unique=True, max_size=60), words, st.integers(1, 8))
def test_the_closest_are_those_of_comparing_with_every_word(
    entries: list[str], word: str, count: int
) -> None:
    most = min(2, len(word) // 2)
    edits = [OSA.distance(word.lower(), entry.lower()) for entry in entries]
    order = sorted((edit, place) for place, edit in enumerate(edits) if edit <= most)
    expected = tuple(entries[place] for _, place in order[:count])
    assert Spellings(entries).closest(word, count) == expected


def test_letters_that_share_a_bit_hide_no_word() -> None:
    # "\u0021" and "a" differ by 64, so both have the same bit.
    assert Spellings(["!bcd"]).closest("abcd", 5) == ("!bcd",)
    assert Spellings(["abcd"]).closest("!bcde", 5) == ("abcd",)


def test_one_edit_more_than_two_is_too_far() -> None:
    spellings = Spellings(["letter", "lettre", "ltter", "settlers"])
    assert spellings.closest("Letter", 9) == ("letter", "lettre", "ltter")
    assert spellings.closest("no", 9) == ()
    assert spellings.closest("", 9) == ()
    assert spellings.closest("x" * 65, 9) == ()


def test_a_list_of_nothing_has_nothing_close() -> None:
    assert Spellings([]).closest("word", 5) == ()

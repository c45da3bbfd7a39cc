"""Laws of the vocabulary: words and indices are inverse, and its file gives it back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.vocabulary import Vocabulary, VocabularyError

# Anything but a line feed and what UTF-8 cannot write: carriage returns, NUL, U+2028, emoji.
words = st.text(st.characters(codec="utf-8", exclude_characters="\n"), min_size=1, max_size=8)


@given(st.lists(words, unique=True, max_size=30))
def test_words_and_indices_are_inverse_and_survive_the_file(chosen: list[str]) -> None:
    vocabulary = Vocabulary.from_bytes(Vocabulary(chosen).to_bytes())
    assert list(vocabulary) == chosen
    assert len(vocabulary) == len(chosen)
    assert [vocabulary.index(word) for word in chosen] == list(range(len(chosen)))
    assert [vocabulary[index] for index in range(len(chosen))] == chosen
    assert all(word in vocabulary for word in chosen)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"the\ncat", "the last line has no end: the file is cut short"),
        (b"the\n\ncat\n", "line 2 holds an empty word"),
        (b"the\ncat\nthe\n", "line 3 repeats the word 'the' of line 1"),
        (b"the\nc\xff\n", "line 2 is not UTF-8"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line(data: bytes, reason: str) -> None:
    with pytest.raises(VocabularyError) as caught:
        Vocabulary.from_bytes(data)
    assert str(caught.value) == reason


def test_a_word_with_a_line_feed_cannot_be_a_word() -> None:
    with pytest.raises(VocabularyError, match="line feed"):
        Vocabulary(["a\nb"])


def test_a_word_that_is_not_there_has_no_index() -> None:
    assert Vocabulary(["a"]).index("b") is None
    assert "b" not in Vocabulary(["a"])

"""A text becomes indices and comes back as its words; counts are those of a Counter."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.training.encoded_text import (
    TextIndex,
    open_ids,
    rewrite_ids,
    write_blocks,
)
from dragoman_models.embeddings.training.word_counts import (
    WordCounts,
    merged_counts,
    select_words,
)
from dragoman_models.errors import TrainingError

blocks_of_words = st.lists(st.lists(st.sampled_from(["\n", "a", "b", "c", "d"]), max_size=20))


@given(blocks=blocks_of_words, keep_unknown=st.booleans())
def test_indices_stand_for_the_text(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[str]], keep_unknown: bool
) -> None:
    folder = tmp_path_factory.mktemp("ids")
    index = TextIndex()
    index.write(folder / "numbers", blocks)
    text = [word for block in blocks for word in block]
    assert index.counts() == Counter(word for word in text if word != "\n")
    assert index.text_words == sum(word != "\n" for word in text)
    indices = index.indices({"b": 0, "d": 1})
    rewrite_ids(folder / "numbers", folder / "ids", indices, keep_unknown=keep_unknown)
    names = {"b": 0, "d": 1, "\n": -1}
    expected = [names.get(word, -2) for word in text if keep_unknown or word in names]
    assert open_ids(folder / "ids").tolist() == expected


def test_memory_is_bounded_by_forgetting_the_rarest(tmp_path: Path) -> None:
    index = TextIndex(most_distinct=3)
    blocks = [["a", "a", "a", "b", "b", "c"], ["d", "e"], ["a", "b", "b"], ["f", "f", "f", "f"]]
    index.write(tmp_path / "ids", blocks)
    counts = index.counts()
    assert len(counts) <= 3
    assert (counts["a"], counts["b"], counts["f"]) == (4, 4, 4)
    assert index.text_words == 15


def test_words_are_ordered_by_count_and_then_by_their_characters() -> None:
    found = select_words({"b": 3, "z": 9, "a": 3, "rare": 1, "c": 3}, min_count=2, max_words=3)
    assert found.words == ("z", "a", "b")
    assert found.counts.tolist() == [9, 3, 3]
    assert found.text_words == 19
    assert found.known_words == 15


def test_a_min_count_above_all_counts_names_the_fix() -> None:
    with pytest.raises(TrainingError, match=r"min_count: 0 words stand 5 times or more.*'a', stan"):
        select_words({"a": 4, "b": 1}, min_count=5)


@pytest.mark.parametrize("counts", [{}, {"a": 0}])
def test_a_text_without_words_is_refused(counts: dict[str, int]) -> None:
    with pytest.raises(TrainingError, match="corpus: holds no words"):
        select_words(counts, min_count=1)


def test_absurdly_long_words_are_left_out() -> None:
    found = select_words({"a": 5, "b": 5, "x" * 1001: 99}, min_count=1)
    assert found.words == ("a", "b")


def test_continued_counts_keep_all_old_words() -> None:
    old = WordCounts(words=("x", "y"), counts=np.array([5, 2]), text_words=8)
    new = WordCounts(words=("z", "y"), counts=np.array([6, 4]), text_words=11)
    both = merged_counts(old, new)
    assert dict(zip(both.words, both.counts.tolist(), strict=True)) == {"x": 5, "y": 6, "z": 6}
    assert both.words == ("y", "z", "x")
    assert both.text_words == 19


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="cannot write"):
        write_blocks(tmp_path / "nowhere" / "ids", [np.zeros(1, dtype=np.int32)])

    def broken() -> object:
        yield np.zeros(1, dtype=np.int32)
        raise TrainingError("line 7 is not UTF-8")

    with pytest.raises(TrainingError, match="line 7"):
        write_blocks(tmp_path / "ids", broken())  # type: ignore[arg-type]
    assert not list(tmp_path.iterdir())

"""Phrases are scored as by hand and joined from left to right."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dragoman_models.embeddings.training import encoded_text
from dragoman_models.embeddings.training.encoded_text import open_ids, write_blocks
from dragoman_models.embeddings.training.phrases import find_phrases, join_phrases, phrase_scores
from dragoman_models.embeddings.training.word_counts import WordCounts

NEW, YORK, TIMES, THE = range(4)
#  new york times | the new york | the york | new ? york | times
TEXT = [0, 1, 2, -1, 3, 0, 1, -1, 3, 1, -1, 0, -2, 1, -1, 2, -1]


def write_text(path: Path) -> WordCounts:
    write_blocks(path, [np.array(TEXT, dtype=np.int32)])
    return WordCounts(
        words=("new", "york", "times", "the"), counts=np.array([3, 4, 2, 2]), text_words=12
    )


def test_scores_by_hand() -> None:
    scores = phrase_scores(
        np.array([2.0]), np.array([3.0]), np.array([4.0]), discount=0.5, known_words=11
    )
    assert scores.tolist() == [(2 - 0.5) * 11 / (3 * 4)]


def test_pairs_above_the_threshold_are_phrases(tmp_path: Path) -> None:
    words = write_text(tmp_path / "text")
    # new york stands twice: (2 - 0.5) 11 / 12 = 1.375; york times once: 0.5 11 / 8 = 0.6875;
    # the new: 0.5 11 / 6 = 0.917; the york: 0.5 11 / 8. Words apart by an unknown one are no pair.
    found = find_phrases(tmp_path / "text", words, discount=0.5, threshold=0.9, megabytes=1)
    assert found.tolist() == [(NEW << 32) + YORK, (THE << 32) + NEW]
    found = find_phrases(tmp_path / "text", words, discount=0.5, threshold=1.375, megabytes=1)
    assert found.tolist() == []  # a phrase is above the threshold
    assert [path.name for path in tmp_path.iterdir()] == ["text"]


@pytest.mark.parametrize("block", [1, 2, 1000])  # phrases across the ends of blocks
def test_phrases_become_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(encoded_text, "_BLOCK_IDS", block)
    words = write_text(tmp_path / "text")
    phrases = np.array([(NEW << 32) + YORK, (THE << 32) + NEW], dtype=np.uint64)
    joined = join_phrases(tmp_path / "text", words, phrases, min_count=1)
    names = [*joined.words, "|", "?"]  # the last two are -2 + 1 = -1 and -2, from the end
    text = [
        {-1: "|", -2: "?"}.get(word) or names[word] for word in open_ids(tmp_path / "text").tolist()
    ]
    # "the new york": the first pair that is a phrase is taken, and "york" is left.
    expected = "new_york times | the_new york | the york | new ? york | times |"
    assert " ".join(text) == expected
    counts = dict(zip(joined.words, joined.counts.tolist(), strict=True))
    assert counts == {"york": 3, "times": 2, "new_york": 1, "the_new": 1, "the": 1, "new": 1}
    assert joined.text_words == 12


def test_what_became_rare_is_unknown(tmp_path: Path) -> None:
    words = write_text(tmp_path / "text")
    phrases = np.array([(NEW << 32) + YORK], dtype=np.uint64)
    joined = join_phrases(tmp_path / "text", words, phrases, min_count=2, always={"new"})
    assert joined.words == ("new_york", "the", "times", "york", "new")
    ids = open_ids(tmp_path / "text").tolist()
    assert ids.count(-2) == 1
    assert len(ids) == len(TEXT) - 2


def test_a_text_that_has_the_phrase_already_shares_its_word(tmp_path: Path) -> None:
    write_blocks(tmp_path / "text", [np.array([0, 1, 2, -1, 0, 1, -1], dtype=np.int32)])
    words = WordCounts(words=("new", "york", "new_york"), counts=np.array([2, 2, 1]), text_words=5)
    phrases = np.array([1], dtype=np.uint64)
    joined = join_phrases(tmp_path / "text", words, phrases, min_count=0)
    assert joined.words[0] == "new_york"
    assert joined.counts[0] == 3

"""What is measured with is never learnt from."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import TrainingError
from dragoman_models.translation.held_out import HeldOut, read_held_out, sentence_key


@pytest.mark.parametrize(
    "other",
    ["Salut !", "salut", "SALUT...", "« Salut »", "\uff33alut!", "  Salut \u00a0!", "Salut"],
)
def test_case_blanks_marks_and_width_do_not_matter(other: str) -> None:
    assert HeldOut(["Salut !"]).holds(other)


@pytest.mark.parametrize("other", ["Salut Tom !", "Saluts", "", "!", "Salu"])
def test_other_words_do(other: str) -> None:
    assert not HeldOut(["Salut !", "", "?"]).holds(other)


@given(st.text())
def test_every_sentence_with_a_word_is_held(text: str) -> None:
    assert HeldOut([text]).holds(text) == bool(sentence_key(text))


def test_all_columns_of_all_files_are_held(tmp_path: Path) -> None:
    (tmp_path / "test.tsv").write_text("Good night.\tBonne nuit.\n")
    (tmp_path / "probes.tsv").write_text("name\tZeynep\tZeynep dort.\n")
    held = read_held_out([tmp_path / "test.tsv", tmp_path / "probes.tsv"])
    for sentence in ("good night", "Bonne nuit !", "Zeynep dort"):
        assert held.holds(sentence)
    assert held.holds_any(["Tom dort.", "zeynep dort"])
    assert not held.holds_any(["Tom dort."])
    with pytest.raises(TrainingError, match=r"cannot read .*none"):
        read_held_out([tmp_path / "none"])

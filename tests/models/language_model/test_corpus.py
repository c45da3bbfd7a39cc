"""Vocabularies and columns: every token once, spans where they belong, any Unicode."""

import gzip
import random
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import TrainingError
from dragoman_models.language_model.corpus import (
    columns_of,
    encode_corpus,
    read_lines,
    segment_bounds,
)
from dragoman_models.language_model.recipe import LanguageModelRecipe, read_recipe
from dragoman_models.language_model.run_data import RecipeText
from dragoman_models.language_model.text_vocabulary import (
    CharacterVocabulary,
    SubwordVocabulary,
    TextVocabulary,
    WordVocabulary,
    count_vocabulary,
    locate_text,
    read_vocabulary,
    vocabulary_file,
)
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.vocabulary import Vocabulary, VocabularyError

TEXT = ["the old man and the sea", "the cat saw the old dog", "", "an end"] * 5


def make(kind: str) -> TextVocabulary:
    if kind == "subwords":
        lines = (line for line in TEXT if line)
        return SubwordVocabulary(train_tokenizer(lines, vocabulary_size=278))
    return count_vocabulary(TEXT, kind, most=1000)  # type: ignore[arg-type]


@pytest.fixture(scope="module", params=["words", "characters", "subwords"])
def vocabulary(request: pytest.FixtureRequest) -> TextVocabulary:
    return make(request.param)


@given(text=st.text())
def test_spans_lie_in_the_text_in_order(vocabulary: TextVocabulary, text: str) -> None:
    tokens = locate_text(vocabulary, text)
    for token in tokens:
        assert 0 <= token.begin <= token.end <= len(text)
        assert 0 <= token.id < vocabulary.size
    assert all(one.begin <= other.begin for one, other in pairwise(tokens))
    covered = {i for token in tokens for i in range(token.begin, token.end)}
    if vocabulary.kind == "characters":
        assert covered == set(range(len(text)))
    if vocabulary.kind == "words":
        assert all(i in covered or text[i].isspace() for i in range(len(text)))
    assert sum(t.id == vocabulary.eos for t in tokens) == text.count("\n")


@given(line=st.text(st.characters(exclude_characters="\n")))
def test_training_and_scoring_read_a_line_alike(vocabulary: TextVocabulary, line: str) -> None:
    assert vocabulary.encode_lines([line])[0] == [token.id for token in vocabulary.locate(line)]


def test_known_text_comes_back(vocabulary: TextVocabulary) -> None:
    ids = vocabulary.encode_lines(["the old sea"])[0]
    text = b"".join(vocabulary.token_bytes(i) for i in ids).decode()
    assert text.removeprefix(" ") == "the old sea"
    assert all(i not in ids for i in (*vocabulary.never_generated(), vocabulary.eos))


def test_vocabulary_comes_back_from_its_file(vocabulary: TextVocabulary) -> None:
    content = vocabulary.files()[vocabulary_file(vocabulary.kind)]
    again = read_vocabulary(vocabulary.kind, content)
    assert again.encode_lines(TEXT) == vocabulary.encode_lines(TEXT)


def test_bytes_of_a_character_share_its_span() -> None:
    subwords = make("subwords")
    tokens = locate_text(subwords, "the 日\n😀")
    texts = [(subwords.token_text(t.id), t.begin, t.end) for t in tokens]
    assert ("<0xE6>", 4, 5) in texts
    assert ("<0xA5>", 4, 5) in texts
    assert [t for t in texts if t[1:] == (6, 7)] == [
        (f"<0x{byte:02X}>", 6, 7) for byte in "😀".encode()
    ]


def test_most_frequent_first_and_the_rest_unknown() -> None:
    words = count_vocabulary(["b a a", "c b a <unk> <eos>"], "words", most=4)
    assert list(words.vocabulary) == ["<unk>", "<eos>", "a", "b"]
    assert words.encode_lines(["a c <unk> <eos> b"]) == [[2, 0, 0, 0, 3]]
    with pytest.raises(TrainingError, match="holds no words"):
        count_vocabulary(["", " "], "words", most=9)
    with pytest.raises(VocabularyError, match="first two lines"):
        WordVocabulary(Vocabulary(["a", "b"]))


def test_every_line_ends_with_eos_and_counts() -> None:
    vocabulary = count_vocabulary(TEXT, "words", most=100)
    text = encode_corpus(["the old man", "", "zebra"], vocabulary)
    the, old, man = vocabulary.encode_lines(["the old man"])[0]
    assert text.tokens.tolist() == [1, the, old, man, 1, 1, 0, 1]
    assert (text.words, text.characters) == (7, 19)
    with pytest.raises(TrainingError, match="empty"):
        encode_corpus([], vocabulary)


@given(length=st.integers(2, 200), columns=st.integers(1, 20), bptt=st.integers(1, 40),
       seed=st.one_of(st.none(), st.integers(0, 99)))  # fmt: skip
def test_columns_and_segments_cover_the_text_once_and_in_order(
    length: int, columns: int, bptt: int, seed: int | None
) -> None:
    tokens = torch.arange(length)
    if length - 1 < columns:
        with pytest.raises(TrainingError, match="too few for batch_size"):
            columns_of(tokens, columns)
        return
    inputs, targets = columns_of(tokens, columns)
    assert torch.equal(inputs + 1, targets)
    assert torch.equal(inputs.t().flatten(), tokens[: inputs.numel()])
    assert length - 1 - inputs.numel() < columns
    bounds = segment_bounds(len(inputs), bptt, None if seed is None else random.Random(seed))
    assert (bounds[0], bounds[-1]) == (0, len(inputs))
    assert all(0 < end - begin <= bptt + 20 for begin, end in pairwise(bounds))


def test_variable_lengths_average_the_wanted_one() -> None:
    bounds = segment_bounds(100_000, 70, random.Random(1))
    mean = 100_000 / (len(bounds) - 1)
    assert mean == pytest.approx(0.95 * 70 + 0.05 * 35, rel=0.03)
    assert segment_bounds(100, 35, None) == [0, 35, 70, 100]


@pytest.mark.parametrize("broken", [b"\xff\xfe", gzip.compress(b"a\n")[:-3]])
def test_broken_files_are_named(tmp_path: Path, broken: bytes) -> None:
    path = tmp_path / ("text.txt.gz" if broken.startswith(b"\x1f") else "text.txt")
    path.write_bytes(broken)
    with pytest.raises(TrainingError, match=r"cannot read .*text"):
        list(read_lines([path]))


def test_lines_end_with_line_feeds_only(tmp_path: Path) -> None:
    path = tmp_path / "text.txt"
    path.write_bytes("\ufeffa\u2028b\r\nc\x85d\n\ne".encode())
    assert list(read_lines([path])) == ["a\u2028b", "c\x85d", "", "e"]


def test_held_out_lines_and_files_are_not_trained_on(
    tmp_path: Path, tiny_recipe: Callable[..., LanguageModelRecipe]
) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(f"{name} 1\n{name} 2\n", encoding="utf-8")
    apart = RecipeText(
        tiny_recipe(train=(tmp_path,), valid_share=0, valid=(tmp_path / "b.txt",),
                    test=(tmp_path / "c.txt",))
    )  # fmt: skip
    assert list(apart.train_lines()) == ["a 1", "a 2"]
    assert list(apart.valid_lines()) == ["b 1", "b 2"]
    share = RecipeText(tiny_recipe(train=(tmp_path,), valid_share=0.5))
    assert list(share.train_lines()) == ["a 1", "a 2", "b 1"]
    assert list(share.valid_lines()) == ["b 2", "c 1", "c 2"]
    with pytest.raises(TrainingError, match="all its files"):
        RecipeText(tiny_recipe(train=(tmp_path,), valid_share=0, valid=(tmp_path,)))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ('train = ["t.txt"]', "give valid, or valid_share"),
        ('train = []\nvalid_share = 0.1', "train"),
        ('train = ["t.txt"]\nvalid_share = 0.1\nepochs = 0', "epochs"),
        ('train = ["t.txt"]\nvalid_share = 0.1\nsteps = 3', "steps: Extra inputs"),
        ('train = ["t.txt"]\nvalid_share = 0.1\nshared_tokenizer = "x"', "vocabulary subwords"),
        ("train = [", "cannot read the recipe"),
    ],
)  # fmt: skip
def test_wrong_recipes_are_refused_by_name(tmp_path: Path, settings: str, message: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'language = "en"\n{settings}\n', encoding="utf-8")
    with pytest.raises(TrainingError, match=message):
        read_recipe(path)


def test_recipe_paths_are_relative_to_it(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text('language = "en"\ntrain = ["t.txt"]\nvalid_share = 0.1', encoding="utf-8")
    assert read_recipe(path).train == (tmp_path / "t.txt",)


def test_character_vocabulary_reads_lone_surrogates_as_unknown(lines: Sequence[str]) -> None:
    characters = count_vocabulary(lines, "characters", most=500)
    assert isinstance(characters, CharacterVocabulary)
    assert characters.encode_lines(["a\ud800"])[0][1] == characters.unknown

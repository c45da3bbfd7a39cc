"""What a run reads: files, tokenizers, synthetic pairs, parts; and nothing that is held out."""

from pathlib import Path
from typing import Any

import pytest

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import BOS, EOS
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.corpus import SentencePair, read_pairs
from dragoman_models.translation.recipe import TranslationRecipe, read_recipe
from dragoman_models.translation.run_data import RunData

Pairs = list[tuple[str, str]]


@pytest.fixture
def corpus(tmp_path: Path, pairs: Pairs) -> Path:
    path = tmp_path / "pairs.tsv"
    path.write_text("".join(f"{s}\t{t}\n" for s, t in pairs), encoding="utf-8")
    (tmp_path / "dev.tsv").write_text("Bonne nuit.\tGood night.\n")
    return path


def make_recipe(corpus: Path, **changes: Any) -> TranslationRecipe:
    """Of nothing but plain pairs."""
    settings: dict[str, Any] = {
        "source_language": "fr", "target_language": "en", "source_column": 1, "target_column": 2,
        "train": corpus, "dev": corpus.with_name("dev.tsv"), "source_sampling": 0.0,
        "target_sampling": 0.0, "substitution_rate": 0.0,
        "network": NetworkConfig(vocabulary_size=320),
    }  # fmt: skip
    return TranslationRecipe(**{**settings, **changes})


def decoded(data: RunData, number: int = 0) -> list[tuple[str, str]]:
    pairs, _ = data.encoded_pass(number)
    return [(data.tokenizer.decode(p.source), data.tokenizer.decode(p.target)) for p in pairs]


# --- files ---


def test_lines_of_two_files_go_together(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("one\ntwo\twords\n")
    (tmp_path / "a.de").write_text("eins\nzwei\n")
    both = (tmp_path / "a.en", tmp_path / "a.de")
    expected = [("one", "eins"), ("two words", "zwei")]
    assert read_pairs(both, source_column=1, target_column=2) == expected
    turned = [pair[::-1] for pair in expected]
    assert read_pairs(both, source_column=2, target_column=1) == turned


@pytest.mark.parametrize(
    ("first", "second", "reason"),
    [
        ("one\ntwo\n", "eins\n", r"a\.de ends before line 2"),
        ("one\n", "eins\nzwei\n", r"a\.en ends before line 2"),
        ("one\n\n", "eins\nzwei\n", "line 2: one side is blank"),
        ("", "", "holds no sentence pairs"),
    ],
)
def test_files_that_do_not_go_together(
    tmp_path: Path, first: str, second: str, reason: str
) -> None:
    (tmp_path / "a.en").write_text(first)
    (tmp_path / "a.de").write_text(second)
    with pytest.raises(TrainingError, match=reason):
        read_pairs((tmp_path / "a.en", tmp_path / "a.de"), source_column=1, target_column=2)


def test_prepared_text_is_lowercased_tokens(corpus: Path, tmp_path: Path) -> None:
    data = RunData(make_recipe(corpus, preparation="moses_lowercase"), tmp_path)
    assert data.train_pairs[1] == ("je t&apos; aime .", "i love you .")
    assert data.dev_pairs == [("bonne nuit .", "good night .")]


# --- tokenizers ---


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_a_shared_tokenizer_is_taken_over(corpus: Path, tmp_path: Path, kind: str) -> None:
    first = RunData(make_recipe(corpus, subword_model=kind, seed=1), tmp_path)
    given = tmp_path / "given.model"
    given.write_bytes(first.tokenizer.model_bytes)
    (tmp_path / "b").mkdir()
    other = make_recipe(corpus.with_name("dev.tsv"), shared_tokenizer=given, seed=2)
    assert RunData(other, tmp_path / "b").tokenizer.model_bytes == first.tokenizer.model_bytes


def test_a_shared_tokenizer_that_is_missing_is_named(corpus: Path, tmp_path: Path) -> None:
    recipe = make_recipe(corpus, shared_tokenizer=tmp_path / "none.model")
    with pytest.raises(TrainingError, match=r"shared_tokenizer: cannot read .*none\.model"):
        RunData(recipe, tmp_path)


def test_bpe_dropout_cuts_a_text_in_many_ways(corpus: Path, tmp_path: Path) -> None:
    """And every cut is of the same text."""
    recipe = make_recipe(
        corpus, subword_model="bpe", source_sampling=1.0, target_sampling=1.0, sampling_alpha=0.5,
        network=NetworkConfig(vocabulary_size=340),
    )  # fmt: skip
    data = RunData(recipe, tmp_path)
    passes = [data.encoded_pass(number)[0] for number in range(5)]
    assert len({tuple(pairs[9].target) for pairs in passes}) > 1
    assert all(decoded(data, number) == decoded(data, 0) for number in range(5))
    again = RunData(recipe, tmp_path).encoded_pass(3)
    assert again[0] == passes[3]


# --- synthetic pairs ---


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    path = tmp_path / "synthetic.tsv"
    lines = [f"Phrase numéro {n}.\tSentence number {n}.\tmade" for n in range(40)]
    path.write_text("\n".join([*lines, "La bonne nuit !\tgood night\tmade"]) + "\n")
    return path


def test_synthetic_pairs_are_mixed_in_by_the_ratio(
    corpus: Path, tmp_path: Path, synthetic: Path
) -> None:
    data = RunData(make_recipe(corpus, synthetic=[synthetic], synthetic_ratio=2.0), tmp_path)
    first, second = (decoded(data, number) for number in (0, 1))
    for drawn in (first, second):
        assert len(drawn) == 10 + 20  # ten real pairs
        assert len(set(drawn[10:])) == 20
        assert all(source.startswith("Phrase") for source, _ in drawn[10:])
    assert set(first[10:]) != set(second[10:])
    everything = make_recipe(corpus, synthetic=[synthetic], synthetic_ratio=9.0)
    assert len(decoded(RunData(everything, tmp_path))) == 10 + 40


@pytest.mark.parametrize("tag", [True, False])
def test_synthetic_sources_are_told_apart(
    corpus: Path, tmp_path: Path, synthetic: Path, tag: bool
) -> None:
    data = RunData(make_recipe(corpus, synthetic=[synthetic], synthetic_tag=tag), tmp_path)
    pairs, batches = data.encoded_pass(0)
    tagged = [pair.source[0] == BOS for pair in pairs]
    assert tagged == [False] * 10 + [tag] * 10
    assert all(BOS not in pair.source[1:] and pair.source[-1] == EOS for pair in pairs)
    assert all(BOS not in pair.target for pair in pairs)
    assert sorted(i for batch in batches for i in batch) == list(range(20))


def test_nothing_synthetic_is_held_out(corpus: Path, tmp_path: Path, synthetic: Path) -> None:
    """Neither dev's sentences nor those of the files named, on whichever side."""
    (tmp_path / "test.tsv").write_text("Sentence number 7!\tother\n")
    (tmp_path / "probes.tsv").write_text("number\t8\tphrase NUMÉRO 8\n")
    held_out = [tmp_path / "test.tsv", tmp_path / "probes.tsv"]
    data = RunData(make_recipe(corpus, synthetic=[synthetic], held_out=held_out), tmp_path)
    targets = {pair.target for pair in data.synthetic_pairs}
    expected = {f"Sentence number {n}." for n in range(40) if n not in (7, 8)}
    assert targets == expected


def test_parts_of_pairs_are_learnt_and_held_out_too(tmp_path: Path, corpus: Path) -> None:
    with corpus.open("a") as file:
        file.write("Salut ! Bonne nuit !\tHi! Good night!\n")
    data = RunData(make_recipe(corpus, split_sentences=True), tmp_path)
    assert data.train_pairs[11:] == [
        SentencePair("Salut !", "Hi!"),  # good night is dev's
    ]


def test_case_noise_changes_sources_only(corpus: Path, tmp_path: Path, pairs: Pairs) -> None:
    data = RunData(make_recipe(corpus, case_noise=1.0), tmp_path)
    changed = decoded(data)
    assert [target for _, target in changed] == [target for _, target in pairs]
    assert sum(one[0] != other[0] for one, other in zip(changed, pairs, strict=True)) >= 7
    assert [s.lower() for s, _ in changed] == [s.lower() for s, _ in pairs]


# --- the recipe ---

LEAST = """
source_language = "fr"
target_language = "en"
train = ["a.fr", "a.en"]
dev = "dev.tsv"
source_column = 1
target_column = 2
synthetic = ["made.tsv"]
held_out = ["test.tsv"]
"""


def test_paths_in_lists_are_relative_to_the_recipe_too(tmp_path: Path) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(LEAST)
    recipe = read_recipe(path, seed=7)
    assert recipe.train == (tmp_path / "a.fr", tmp_path / "a.en")
    assert recipe.synthetic == (tmp_path / "made.tsv",)
    assert recipe.held_out == (tmp_path / "test.tsv",)
    assert recipe.seed == 7
    assert str(tmp_path) not in str(recipe.as_config())


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ("dropout = 0.1\n[dropout_rates]\nstate = 0.1", "dropout or dropout_rates, not both"),
        ('[dropout_rates]\nstate = 0.1\n[network]\ncell = "lstm"', "dropout_rates.state is for"),
        ("[dropout_rates]\nstate = 1.0", "dropout_rates.state: Input should be less than 1"),
        ('subword_model = "bpe"\nsampling_alpha = 1.0', "share of merges left out"),
        ('continue_from = "a"\nshared_tokenizer = "b"', "leave out shared_tokenizer"),
        ('preparation = "moses"', "preparation: Input should be"),
        ('[network]\ncell = "lstm"\nlayer_norm = true', 'are for cell = "gru"'),
    ],
)
def test_settings_that_do_not_go_together(tmp_path: Path, more: str, reason: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(LEAST + more)
    with pytest.raises(TrainingError, match=reason):
        read_recipe(path)

"""The benchmark: both protocols, several seeds, their ensemble, and the report."""

import csv
import gzip
import json
import math
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import typer
from rich.progress import Progress
from typer.testing import CliRunner

from dragoman_models.bundle import read_bundle
from dragoman_models.errors import InvalidInputError, TrainingError
from dragoman_models.metrics.translation_quality import corpus_bleu, tokenized_bleu
from dragoman_models.registry import load_model
from dragoman_models.tokenizer import BOS, EOS, SubwordTokenizer, train_tokenizer
from dragoman_models.translation.export import bare_run, read_run
from dragoman_models.translation.export import main as export_main
from dragoman_models.translation.measure_multi30k import (
    SetFigures,
    as_table,
    main,
    read_test_set,
    run_translators,
)
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.paper_protocol import PAPER, PLAIN, protocol_scores
from dragoman_models.translation.recipe import read_recipe
from dragoman_models.translation.text_preparation import MosesText
from dragoman_models.translation.trainer import TranslationTrainer
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator
from dragoman_models.weight_encoding import WeightEncoding

# --- the papers' protocol ---


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("en", "A man's dog, isn't it?", "a man &apos;s dog , isn &apos;t it ?"),
        ("de", "Zwei junge weiße Männer.", "zwei junge weiße männer ."),
        ("fr", "L'homme « court » vite !", "l&apos; homme &quot; court &quot; vite !"),
        ("de-CH", "„Ja“, sagt er…", "&quot; ja &quot; , sagt er ..."),
        ("en", "a well-known T-shirt", "a well-known t-shirt"),
    ],
)
def test_text_as_the_papers_have_it(language: str, text: str, expected: str) -> None:
    """As lowercase.perl | normalize-punctuation.perl -l | tokenizer.perl -l write it."""
    assert MosesText(language).prepare(text) == expected


def test_tokens_become_text_again() -> None:
    moses = MosesText("en")
    assert moses.plain(moses.prepare("A man's dog sits.")) == "a man's dog sits."


def test_tokenized_bleu_by_hand() -> None:
    """Papineni et al. 2002: modified precisions 5/6, 4/5, 3/4 and 2/3 over two sentences; five of
    six tokens, so the brevity penalty is exp(1 - 7/6)."""
    hypotheses, references = ["the cat sat on the rug"], ["the cat sat on the big mat"]
    precisions = [5 / 6, 4 / 5, 3 / 4, 2 / 3]
    expected = 100 * math.exp(1 - 7 / 6) * math.prod(precisions) ** 0.25
    assert tokenized_bleu(hypotheses, references).score == pytest.approx(expected, abs=1e-9)


def test_tokenized_bleu_leaves_tokens_alone() -> None:
    """A token "dog." here, which 13a makes two of. Nothing is smoothed: no 4-gram, no score."""
    assert tokenized_bleu(["a b c dog."], ["a b c dog ."]).score == 0
    assert corpus_bleu(["a b c dog."], ["a b c dog ."]).score == pytest.approx(100)
    assert "tok:none" in tokenized_bleu(["a b c d"], ["a b c d"]).signature


@pytest.mark.parametrize(("hypotheses", "references"), [(["a"], []), ([], [])])
def test_tokenized_bleu_of_nothing(hypotheses: list[str], references: list[str]) -> None:
    with pytest.raises(InvalidInputError):
        tokenized_bleu(hypotheses, references)


def test_the_papers_protocol_disregards_case_and_quotes() -> None:
    scores = protocol_scores(
        ["Ein «hund» läuft schnell weg."], ["Ein „Hund“ läuft schnell weg."], language="de"
    )
    assert scores[PAPER].score == pytest.approx(100)
    assert scores[PLAIN].score < 90


def test_lowercased_tokens_have_no_mixed_case_score() -> None:
    scores = protocol_scores(
        ["a man &apos;s dog"], ["A man's dog"], language="en", preparation="moses_lowercase"
    )
    assert {name: round(one.score) for name, one in scores.items()} == {PAPER: 100}


# --- the ensemble ---


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, pairs: Sequence[tuple[str, str]]) -> Path:
    """Line-aligned data, a recipe, and its runs ``run-1`` and ``run-2`` with two seeds."""
    folder = tmp_path_factory.mktemp("multi30k")
    for name in ("train", "test_2016_flickr"):
        for side, language in enumerate(("fr", "en")):
            text = "".join(f"{pair[side]}\n" for pair in pairs)
            (folder / f"{name}.{language}.gz").write_bytes(gzip.compress(text.encode()))
    files = '["train.fr.gz", "train.en.gz"]'
    (folder / "recipe.toml").write_text(
        f"""
source_language = "fr"
target_language = "en"
train = {files}
dev = {files}
source_column = 1
target_column = 2
passes = 2
precision = "fp32"
subword_model = "bpe"
sampling_alpha = 0.1
keep_best = true
[network]
vocabulary_size = 330
embedding_size = 8
encoder_size = 6
decoder_size = 8
decoder = "conditional_gru"
layer_norm = true
[dropout_rates]
embedding = 0.1
state = 0.1
"""
    )
    for seed in (1, 2):
        recipe = read_recipe(folder / "recipe.toml", seed=seed)
        TranslationTrainer(recipe, folder / f"run-{seed}").run(Progress(disable=True))
    return folder


def test_seeds_differ_in_weights_and_share_the_tokenizer(finished: Path) -> None:
    runs = [finished / f"run-{seed}" for seed in (1, 2)]
    tokenizers, weights = (
        [(run / name).read_bytes() for run in runs]
        for name in ("tokenizer.model", "averaged.safetensors")
    )
    assert tokenizers[0] == tokenizers[1]
    assert weights[0] != weights[1]


def members(finished: Path, *seeds: int) -> list[tuple[TranslationNetwork, SubwordTokenizer]]:
    recipe = read_recipe(finished / "recipe.toml")
    return [bare_run(finished / f"run-{seed}", recipe) for seed in seeds]


def translations(finished: Path, *seeds: int, beam_width: int, sources: Sequence[str]) -> list[str]:
    """By the run of a seed, or all runs together."""
    runs = [finished / f"run-{seed}" for seed in seeds]
    last = run_translators(read_recipe(finished / "recipe.toml"), runs)[-1]
    answers = last.translate(sources, TranslationOptions(beam_width=beam_width))
    return [answer[0].text for answer in answers]


def test_a_network_joined_with_itself_is_itself(finished: Path) -> None:
    sources = ["Tom dort.", "Où est la gare ?", "Merci."]
    for width in (1, 4):
        alone = translations(finished, 1, beam_width=width, sources=sources)
        joined = translations(finished, 1, 1, 1, beam_width=width, sources=sources)
        assert joined == alone


@torch.inference_mode()
def test_greedy_search_takes_the_most_probable_on_average(finished: Path) -> None:
    """Step by step, in float64: the mean of the networks' probabilities."""
    both = members(finished, 1, 2)
    tokenizer = both[0][1]
    ids = [*tokenizer.encode("Elle parle anglais."), EOS]
    source, length = torch.tensor([ids]), torch.tensor([len(ids)])
    states = [network.encode(source, length) for network, _ in both]
    previous, found = torch.tensor([BOS]), []
    for _ in range(2 * len(ids) + 20):
        probabilities = torch.zeros(tokenizer.vocabulary_size, dtype=torch.float64)
        for i, (network, _) in enumerate(both):
            memory, state = states[i]
            logits, state, _ = network.step(previous, state, memory)
            states[i] = memory, state
            probabilities += torch.softmax(logits[0].double(), dim=0) / 2
        probabilities[:3] = 0  # pad, unk and bos are never written
        best = int(probabilities.argmax())
        if best == EOS:
            break
        found.append(best)
        previous = torch.tensor([best])
    expected = tokenizer.decode(found)
    sources = ["Elle parle anglais."]
    assert translations(finished, 1, 2, beam_width=1, sources=sources) == [expected]


def test_runs_of_different_tokenizers_cannot_be_joined(
    finished: Path, tmp_path: Path, pairs: Sequence[tuple[str, str]]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(finished / "run-1", other)
    backwards = [side[::-1] for pair in pairs for side in pair]
    tokenizer = train_tokenizer(backwards, vocabulary_size=330, model_type="bpe")
    (other / "tokenizer.model").write_bytes(tokenizer.model_bytes)
    recipe = read_recipe(finished / "recipe.toml")
    with pytest.raises(TrainingError, match=r"joined only if they share a tokenizer.*vocabulary"):
        run_translators(recipe, [finished / "run-1", other])


# --- the report ---


def measured(finished: Path, out: Path, *options: str) -> tuple[int, str]:
    app = typer.Typer()
    app.command()(main)
    arguments = ["--config", str(finished / "recipe.toml"), "--data", str(finished)]
    arguments += ["--test-set", "test_2016_flickr", "--beam-width", "2", "--out", str(out)]
    result = CliRunner().invoke(app, [*arguments, *options])
    return result.exit_code, result.output


def test_the_report(finished: Path, tmp_path: Path) -> None:
    runs = [word for seed in (1, 2) for word in ("--run", str(finished / f"run-{seed}"))]
    code, output = measured(finished, tmp_path / "results", *runs)
    assert code == 0, output
    report = json.loads((tmp_path / "results" / "fr-en.json").read_text())
    figures = report["figures"]["test_2016_flickr"]
    pairs = read_test_set(read_recipe(finished / "recipe.toml"), finished, "test_2016_flickr")
    sources, references = zip(*pairs, strict=True)
    for column, seeds in (("run 1", (1,)), ("run 2", (2,)), ("ensemble", (1, 2))):
        hypotheses = translations(finished, *seeds, beam_width=2, sources=sources)
        scores = protocol_scores(hypotheses, references, language="en")
        for protocol, score in scores.items():
            found = figures[protocol]
            values = {"run 1": found["runs"][0], "run 2": found["runs"][1], **found}
            assert values[column] == pytest.approx(score.score, abs=0.005)
            assert found["signature"] == score.signature
    for found in figures.values():
        assert found["mean"] == pytest.approx(statistics.mean(found["runs"]), abs=0.01)
    table = (tmp_path / "results" / "fr-en.md").read_text()
    assert "| test_2016_flickr | sacreBLEU 13a, mixed case, detokenized |" in table
    assert (tmp_path / "results" / "fr-en.png").read_bytes().startswith(b"\x89PNG")
    assert str(tmp_path) not in table + json.dumps(report)


def test_figures() -> None:
    one = SetFigures(runs=(38.0, 39.0, 40.0), ensemble=41.26, signature="s")
    assert (one.mean, one.deviation) == (39.0, 1.0)
    row = as_table({"test": {PAPER: one}}).splitlines()[-1]
    assert row.endswith("| 38.0, 39.0, 40.0 | 39.0 ± 1.0 | 41.3 |")
    alone = SetFigures(runs=(38.0,), ensemble=None, signature="s")
    assert (alone.deviation, alone.as_json()["ensemble"]) == (None, None)


def test_what_is_missing_is_named(finished: Path, tmp_path: Path) -> None:
    code, output = measured(finished, tmp_path, "--run", str(finished / "none"))
    assert code == 1
    assert "holds no finished run of this recipe" in output
    run = ("--run", str(finished / "run-1"))
    code, output = measured(finished, tmp_path, *run, "--test-set", "test_2099")
    assert code == 1
    assert "test_2099" in output


def test_the_curves_of_the_run_are_kept(finished: Path) -> None:
    with (finished / "run-1" / "log.csv").open(newline="") as file:
        assert [row["pass"] for row in csv.DictReader(file)] == ["1", "2"]


def test_a_run_of_this_kind_becomes_a_bundle(finished: Path, tmp_path: Path) -> None:
    """In 8 bits, which the gains of the normalization are not put into."""
    (tmp_path / "probes.tsv").write_text("name\tZeynep\tZeynep dort.\n")
    test = tmp_path / "test.tsv"
    test.write_text("Tom dort.\tTom is asleep.\n")
    app = typer.Typer()
    app.command()(export_main)
    arguments = ["--run", finished / "run-1", "--config", finished / "recipe.toml"]
    arguments += [
        "--test",
        test,
        "--probes",
        tmp_path / "probes.tsv",
        "--out",
        tmp_path / "m" / "1",
    ]
    words = ["--data", "x", "--data-license", "CC0-1.0", "--attribution", "nobody"]
    recipe = read_recipe(finished / "recipe.toml")
    with pytest.raises(TrainingError, match="a server does not do"):
        read_run(
            finished / "run-1",
            recipe.model_copy(update={"preparation": "moses_lowercase"}),
            WeightEncoding.INT8_ROWS,
        )
    result = CliRunner().invoke(app, [*map(str, arguments), *words])
    assert result.exit_code == 0, result.output
    bundle = read_bundle(tmp_path / "m" / "1")
    assert bundle.config["network"]["decoder"] == "conditional_gru"
    assert str(finished) not in str(bundle.config)
    translator = load_model(bundle)
    assert isinstance(translator, Translator)
    measured_run = read_run(finished / "run-1", recipe, WeightEncoding.INT8_ROWS)
    sources = ["Tom dort.", "Merci."]
    options = TranslationOptions(beam_width=2)
    found, expected = (
        [answer[0].text for answer in one.translate(sources, options)]
        for one in (translator, measured_run.translator)
    )
    assert found == expected

"""Training: it learns, it resumes exactly, and it refuses what it cannot train on."""

import csv
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NoReturn

import pytest
import torch
from rich.progress import Progress
from safetensors.torch import load_file

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import train_tokenizer
from dragoman_models.training import load_checkpoint
from dragoman_models.translation.config import NetworkConfig
from dragoman_models.translation.recipe import TranslationRecipe
from dragoman_models.translation.trainer import TranslationTrainer
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

Pairs = list[tuple[str, str]]
TIMES = {"seconds", "tokens_per_second"}


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory, pairs: Pairs) -> Path:
    path = tmp_path_factory.mktemp("corpus") / "pairs.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


def tiny_recipe(corpus: Path, **changes: Any) -> TranslationRecipe:
    """Ten sentences, and every kind of randomness that training has."""
    settings: dict[str, Any] = {
        "source_language": "fr", "target_language": "en", "source_column": 1, "target_column": 2,
        "train": corpus, "dev": corpus, "precision": "fp32", "passes": 3,
        "network": NetworkConfig(
            vocabulary_size=320, embedding_size=8, encoder_size=6, decoder_size=8
        ),
        "batch_target_tokens": 50, "checkpoint_updates": 2, "warmup_updates": 3,
        "dropout": 0.2, "source_sampling": 0.5, "substitution_rate": 0.9,
        "averaged_checkpoints": 2,
    }  # fmt: skip
    return TranslationRecipe(**{**settings, **changes})


def run(recipe: TranslationRecipe, folder: Path, *, resume: bool = False) -> TranslationTrainer:
    trainer = TranslationTrainer(recipe, folder, resume=resume)
    trainer.run(Progress(disable=True))
    return trainer


def log_rows(folder: Path) -> list[dict[str, str]]:
    with (folder / "log.csv").open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, corpus: Path) -> Path:
    """The folder of a run that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    run(tiny_recipe(corpus), folder)
    return folder


@pytest.fixture(scope="session")
def word_pieces(pairs: Pairs) -> bytes:
    """A tokenizer that has most words of the ten pairs as one piece, so that they are learned
    in seconds."""
    sides = [side for pair in pairs for side in pair]
    phrases = [" ".join(two) for side in sides for two in pairwise(side.split())]
    words = [word for side in sides for word in side.split()]
    return train_tokenizer([*sides, *words, *phrases], vocabulary_size=370).model_bytes


@pytest.mark.parametrize(
    ("cell", "attention", "passes"), [("gru", "multiplicative", 45), ("lstm", "additive", 80)]
)
def test_overfits_ten_pairs_to_bleu_100(
    tmp_path: Path, corpus: Path, pairs: Pairs, word_pieces: bytes,
    cell: Literal["gru", "lstm"], attention: Literal["multiplicative", "additive"], passes: int,
) -> None:  # fmt: skip
    """Each pass sees the ten pairs three times, in batches of a few."""
    (tmp_path / "tokenizer.model").write_bytes(word_pieces)
    (tmp_path / "train.tsv").write_bytes(3 * corpus.read_bytes())
    network = NetworkConfig(
        vocabulary_size=370, cell=cell, attention=attention,
        embedding_size=48, encoder_size=32, decoder_size=64,
    )  # fmt: skip
    recipe = tiny_recipe(
        corpus, train=tmp_path / "train.tsv", network=network, batch_target_tokens=40,
        passes=passes, patience=passes, learning_rate=0.015, warmup_updates=10,
        label_smoothing=0.0, dropout=0.0, source_sampling=0.0, target_sampling=0.0,
        substitution_rate=0.0, averaged_checkpoints=1, checkpoint_updates=10_000,
    )  # fmt: skip
    trainer = run(recipe, tmp_path)
    assert trainer.dev_bleu() == pytest.approx(100)
    losses = [float(row["train_loss"]) for row in log_rows(tmp_path)]
    assert losses[-1] < 0.5 < 3 < losses[0]
    translator = Translator(
        trainer.network, trainer.tokenizer, source_language="fr", target_language="en"
    )
    options = TranslationOptions(beam_width=1)
    answers = translator.translate([source for source, _ in pairs], options)
    assert [answer[0].text for answer in answers] == [target for _, target in pairs]


# --- resuming ---


def interrupt(*_: Any, **__: Any) -> NoReturn:
    raise KeyboardInterrupt


def after(calls: int, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, interrupted at its call number ``calls``, counted from 0."""
    left = calls

    def limited(*arguments: Any, **options: Any) -> Any:
        nonlocal left
        left -= 1
        return interrupt() if left < 0 else method(*arguments, **options)

    return limited


@pytest.mark.parametrize(
    ("method", "calls"),
    [
        ("learn", 2),  # in the first pass, just behind a checkpoint
        ("learn", 7),  # in the second, an update behind one: that update is done again
        ("dev_bleu", 0),  # after all updates of the first pass, the last without a checkpoint
        ("dev_bleu", 1),  # after all updates of the second, which ends with one
        ("_weights_path", 2),
        ("write_average", 0),
    ],
)
def test_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, corpus: Path, whole: Path, method: str, calls: int
) -> None:
    """Bit for bit: weights, optimizer, averages and the log, but for its times."""
    folder = tmp_path / "run"
    first = TranslationTrainer(tiny_recipe(corpus), folder)
    setattr(first, method, after(calls, getattr(first, method)))
    with pytest.raises(KeyboardInterrupt):
        first.run(Progress(disable=True))
    torch.manual_seed(999)  # another process has another state
    run(tiny_recipe(corpus), folder, resume=True)
    assert {path.name for path in folder.iterdir()} == {path.name for path in whole.iterdir()}
    for path in whole.glob("*.safetensors"):
        assert (folder / path.name).read_bytes() == path.read_bytes(), path.name
    check_same_values(
        load_checkpoint(folder / "checkpoint.pt"), load_checkpoint(whole / "checkpoint.pt")
    )
    check_same_log(folder, whole)


def check_same_values(found: Any, expected: Any) -> None:
    if isinstance(expected, torch.Tensor):
        assert torch.equal(found, expected)
    elif isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            check_same_values(found[key], value)
    else:
        assert found == expected


def check_same_log(folder: Path, whole: Path) -> None:
    """But for times, and the mean loss of a pass, which covers its updates since the resume."""
    rows, expected = log_rows(folder), log_rows(whole)
    untold = {*TIMES, "train_loss"}
    assert [{k: v for k, v in row.items() if k not in untold} for row in rows] == [
        {k: v for k, v in row.items() if k not in untold} for row in expected
    ]


def test_the_whole_run_left_what_it_promises(whole: Path) -> None:
    rows = log_rows(whole)
    assert [row["pass"] for row in rows] == ["1", "2", "3"]
    updates = int(rows[0]["update"])
    assert updates == 5  # so that the interruptions above are where they say
    assert int(rows[2]["update"]) == 3 * updates
    assert {path.name for path in whole.iterdir()} == {
        "tokenizer.model", "checkpoint.pt", "log.csv", "averaged.safetensors",
        "pass-2.safetensors", "pass-3.safetensors",
    }  # fmt: skip


def test_the_average_is_kept_if_it_is_no_worse(whole: Path, corpus: Path) -> None:
    averaged = load_file(whole / "averaged.safetensors")
    passes = [load_file(whole / f"pass-{number}.safetensors") for number in (2, 3)]
    trainer = TranslationTrainer(tiny_recipe(corpus), whole, resume=True)
    scores = []
    mean = {name: (passes[0][name] + passes[1][name]) / 2 for name in averaged}
    for weights in (mean, passes[1]):
        trainer.network.load_state_dict(weights)
        scores.append(trainer.dev_bleu())
    expected = mean if scores[0] >= scores[1] else passes[1]
    for name, weight in averaged.items():
        torch.testing.assert_close(weight, expected[name])


def test_training_stops_when_patience_ends(tmp_path: Path, corpus: Path) -> None:
    """A learning rate of next to nothing never betters the first pass."""
    recipe = tiny_recipe(corpus, passes=9, patience=2, learning_rate=1e-12)
    trainer = run(recipe, tmp_path)
    assert (trainer.counters.finished_passes, trainer.counters.best_pass) == (3, 1)


def test_another_seed_gives_another_run(tmp_path: Path, corpus: Path, whole: Path) -> None:
    run(tiny_recipe(corpus, seed=2), tmp_path)
    one, other = (load_file(folder / "averaged.safetensors") for folder in (tmp_path, whole))
    assert not torch.equal(one["output_bias"], other["output_bias"])


# --- refusals ---


def test_a_run_is_not_begun_over_another(corpus: Path, whole: Path) -> None:
    with pytest.raises(TrainingError, match="holds a training run; give --resume"):
        TranslationTrainer(tiny_recipe(corpus), whole)


def test_nothing_to_resume(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="nothing to resume"):
        TranslationTrainer(tiny_recipe(corpus), tmp_path / "run", resume=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{"learning_rate": 0.5}, {"passes": 4}, {"seed": 2}])
def test_another_recipe_does_not_resume(corpus: Path, whole: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(TrainingError, match="was begun with another recipe"):
        TranslationTrainer(tiny_recipe(corpus, **changes), whole, resume=True)


def test_a_truncated_checkpoint_does_not_resume(corpus: Path, whole: Path, tmp_path: Path) -> None:
    for name in ("checkpoint.pt", "tokenizer.model"):
        content = (whole / name).read_bytes()
        (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(TrainingError, match=r"cannot read .*tokenizer\.model"):
        TranslationTrainer(tiny_recipe(corpus), tmp_path, resume=True)
    (tmp_path / "tokenizer.model").write_bytes((whole / "tokenizer.model").read_bytes())
    with pytest.raises(TrainingError, match=r"cannot read checkpoint .*checkpoint\.pt"):
        TranslationTrainer(tiny_recipe(corpus), tmp_path, resume=True)


def test_a_tokenizer_of_another_size_is_not_taken(
    corpus: Path, whole: Path, tmp_path: Path
) -> None:
    (tmp_path / "tokenizer.model").write_bytes((whole / "tokenizer.model").read_bytes())
    recipe = tiny_recipe(corpus, network=NetworkConfig(vocabulary_size=321))
    with pytest.raises(TrainingError, match=r"has 320 pieces, but .*vocabulary_size is 321"):
        TranslationTrainer(recipe, tmp_path)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"dev": Path("no-such.tsv")}, r"cannot read no-such\.tsv"),
        ({"forbidden_names": Path("no-such.txt")}, r"cannot read forbidden_names no-such\.txt"),
        ({"network": NetworkConfig(vocabulary_size=5000)}, "Lower vocabulary_size"),
    ],
)
def test_unusable_data(corpus: Path, tmp_path: Path, changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(TrainingError, match=reason):
        TranslationTrainer(tiny_recipe(corpus, **changes), tmp_path)


def test_a_folder_that_cannot_be_made(corpus: Path) -> None:
    with pytest.raises(TrainingError, match="cannot make the folder"):
        TranslationTrainer(tiny_recipe(corpus), corpus)


def test_divergence_is_said_before_it_spoils_the_weights(corpus: Path, tmp_path: Path) -> None:
    trainer = TranslationTrainer(tiny_recipe(corpus), tmp_path)
    with torch.no_grad():
        trainer.network.output_bias[5] = float("inf")
    before = trainer.network.target_embedding.weight.clone()
    with pytest.raises(TrainingError, match=r"training diverged at update 1 .*lower learning_rate"):
        trainer.run(Progress(disable=True))
    assert torch.equal(trainer.network.target_embedding.weight, before)


def test_a_full_disk_is_an_error_of_training(
    corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = TranslationTrainer(tiny_recipe(corpus), tmp_path)

    def full(*_: Any) -> NoReturn:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrainingError, match=r"cannot write .*pass-1\.safetensors: .*No space left"):
        trainer.run(Progress(disable=True))


def test_half_precision_learns_as_well(tmp_path: Path, corpus: Path, whole: Path) -> None:
    recipe = tiny_recipe(corpus, precision="bf16", dropout=0.0)
    exact = run(tiny_recipe(corpus, dropout=0.0), tmp_path / "fp32")
    half = run(recipe, tmp_path / "bf16")
    assert half.dev_loss() == pytest.approx(exact.dev_loss(), rel=0.02)
    assert all(weight.dtype is torch.float32 for weight in half.network.state_dict().values())


def test_a_run_may_begin_with_the_weights_of_another(
    whole: Path, corpus: Path, tmp_path: Path
) -> None:
    further = tiny_recipe(corpus, continue_from=whole, passes=1, learning_rate=1e-9, seed=9)
    trainer = TranslationTrainer(further, tmp_path / "further")
    begun = load_file(whole / "averaged.safetensors")
    for name, weight in trainer.network.state_dict().items():
        assert torch.equal(weight, begun[name])
    tokenizer = (whole / "tokenizer.model").read_bytes()
    assert trainer.tokenizer.model_bytes == tokenizer
    averaged = load_file(trainer.run(Progress(disable=True)))
    for name, weight in averaged.items():
        torch.testing.assert_close(weight, begun[name], atol=1e-5, rtol=0)


def test_what_a_run_cannot_begin_with_is_named(corpus: Path, whole: Path, tmp_path: Path) -> None:
    nothing = tiny_recipe(corpus, continue_from=tmp_path / "none")
    with pytest.raises(TrainingError, match=r"continue_from: cannot read .*tokenizer\.model"):
        TranslationTrainer(nothing, tmp_path / "a")
    sizes = NetworkConfig(vocabulary_size=320, embedding_size=9, encoder_size=6, decoder_size=8)
    other = tiny_recipe(corpus, continue_from=whole, network=sizes)
    with pytest.raises(TrainingError, match=r"continue_from: .* holds no weights of such"):
        TranslationTrainer(other, tmp_path / "b")


# --- choices of a recipe ---


def regularized_recipe(corpus: Path, **changes: Any) -> TranslationRecipe:
    """Everything that is drawn at random, and everything that is normalized."""
    network = NetworkConfig(
        vocabulary_size=330, embedding_size=8, encoder_size=6, decoder_size=8, encoder_layers=2,
        decoder="conditional_gru", layer_norm=True, tie_source_embedding=False,
    )  # fmt: skip
    settings: dict[str, Any] = {
        **tiny_recipe(corpus).model_dump(exclude={"dropout"}),
        "network": network, "subword_model": "bpe", "sampling_alpha": 0.1, "case_noise": 0.3,
        "dropout_rates": {"embedding": 0.2, "state": 0.2, "encoded": 0.2, "output": 0.2},
        "keep_best": True,
    }  # fmt: skip
    return TranslationRecipe(**{**settings, **changes})


def test_with_every_choice_a_resumed_run_equals_an_uninterrupted_one(
    tmp_path: Path, corpus: Path
) -> None:
    run(regularized_recipe(corpus), tmp_path / "whole")
    first = TranslationTrainer(regularized_recipe(corpus), tmp_path / "run")
    first.learn = after(8, first.learn)  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        first.run(Progress(disable=True))
    torch.manual_seed(999)
    run(regularized_recipe(corpus), tmp_path / "run", resume=True)
    for path in (tmp_path / "whole").glob("*.safetensors"):
        assert (tmp_path / "run" / path.name).read_bytes() == path.read_bytes(), path.name


def test_the_best_passes_are_kept_and_averaged(tmp_path: Path, corpus: Path) -> None:
    """Of BLEUs 3, 9, 9, 1 the second and third, the later first."""
    recipe = tiny_recipe(corpus, passes=4, keep_best=True, averaged_checkpoints=2)
    trainer = TranslationTrainer(recipe, tmp_path)
    scores = iter([3.0, 9.0, 9.0, 1.0, 5.0, 4.0])  # the last two are of average and best pass
    trainer.dev_bleu = lambda beam_width=1: next(scores)  # type: ignore[method-assign]
    trainer.run(Progress(disable=True))
    passes = {path.name for path in tmp_path.glob("pass-*")}
    # The last pass is written before it is known to be no better; the average comes without it.
    assert {"pass-2.safetensors", "pass-3.safetensors"} <= passes
    assert "pass-1.safetensors" not in passes
    two, three, averaged = (
        load_file(tmp_path / f"{name}.safetensors") for name in ("pass-2", "pass-3", "averaged")
    )
    for name, weight in averaged.items():
        torch.testing.assert_close(weight, (two[name] + three[name]) / 2)


@pytest.mark.parametrize("three_way", [True, False])
def test_what_is_tied_is_one_matrix(corpus: Path, tmp_path: Path, three_way: bool) -> None:
    """Press and Wolf 2017: logits are products with the target embedding; three-way, sources are
    embedded by it too, and have no weights of their own."""
    network = NetworkConfig(
        vocabulary_size=320, embedding_size=8, encoder_size=6, decoder_size=8,
        tie_source_embedding=three_way,
    )  # fmt: skip
    trained = run(tiny_recipe(corpus, network=network, passes=1), tmp_path).network
    attentional = torch.randn(3, 8)
    expected = attentional @ trained.target_embedding.weight.t() + trained.output_bias
    torch.testing.assert_close(trained.logits(attentional), expected)
    assert (trained.source_embedding is trained.target_embedding) == three_way
    assert ("own_source_embedding.weight" in trained.state_dict()) != three_way

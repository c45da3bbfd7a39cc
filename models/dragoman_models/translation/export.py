"""Makes a bundle of a finished training run, measured as it is shipped: with rounded weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import safetensors
import sentencepiece
import torch
import typer
from safetensors.torch import load_file

from dragoman_models.bundle import check_new_folder, write_bundle
from dragoman_models.errors import TrainingError
from dragoman_models.metrics.translation_quality import MetricScore, corpus_bleu
from dragoman_models.run_export import (
    Attribution,
    Data,
    DataLicense,
    NewBundle,
    RecipeFile,
    RunFolder,
    kept_command,
    read_curve,
    reading_run,
    reported_errors,
)
from dragoman_models.tokenizer import SubwordTokenizer
from dragoman_models.training_data import TrainingData
from dragoman_models.translation.card import RunFigures, translation_card
from dragoman_models.translation.corpus import SentencePair, read_pairs
from dragoman_models.translation.entity_repair import (
    EntityRepair,
    known_words,
    learn_stand_ins,
)
from dragoman_models.translation.entity_survival import (
    probe_translator,
    read_probes,
    survival_rates,
)
from dragoman_models.translation.family import KNOWN_WORDS, SHORTLIST
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.recipe import TranslationRecipe, read_recipe
from dragoman_models.translation.shortlist import Shortlist, learn_shortlist
from dragoman_models.translation.substitution import learn_substitution
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator
from dragoman_models.weight_encoding import WeightEncoding, decode_weights, encode_weights

_BEAM_WIDTHS = (1, 5)


@dataclass(frozen=True, kw_only=True)
class TrainedRun:
    """What a run's folder holds, with its weights rounded as ``encoding`` stores them."""

    recipe: TranslationRecipe
    encoding: WeightEncoding
    tensors: dict[str, torch.Tensor]
    tokenizer: SubwordTokenizer
    translator: Translator
    curve: list[dict[str, str]]
    commands: tuple[str, ...]  # that trained it
    shortlist: Shortlist


def read_run(folder: Path, recipe: TranslationRecipe, encoding: WeightEncoding) -> TrainedRun:
    """Reads the averaged weights, the tokenizer and the log that training left in ``folder``.

    Raises:
        TrainingError: something is missing, or was trained by another recipe.
    """
    if recipe.preparation != "none":
        raise TrainingError(
            f"the recipe's preparation is {recipe.preparation}, which a server does not do to the "
            "text it is given; export a run that was trained on plain text"
        )
    network, tokenizer = bare_run(folder, recipe)
    tensors = encode_weights(network.state_dict(), encoding)
    network.load_state_dict(decode_weights(tensors))
    with reading_run(folder):
        curve = read_curve(folder / "log.csv")
    translator = Translator(
        network,
        tokenizer,
        source_language=recipe.source_language,
        target_language=recipe.target_language,
        repair=_repair(recipe),
    )
    return TrainedRun(
        recipe=recipe, encoding=encoding, tensors=tensors, tokenizer=tokenizer,
        translator=translator, curve=curve, commands=_training_commands(folder.name, recipe),
        shortlist=_shortlist(recipe, tokenizer),
    )  # fmt: skip


def bare_run(
    folder: Path, recipe: TranslationRecipe
) -> tuple[TranslationNetwork, SubwordTokenizer]:
    """The network with the averaged weights as training left them in ``folder``, and the tokenizer.

    Raises:
        TrainingError: something is missing, or was trained by another recipe.
    """
    with reading_run(folder):
        tokenizer = SubwordTokenizer((folder / "tokenizer.model").read_bytes())
        sizes = {"vocabulary_size": tokenizer.vocabulary_size}
        network = TranslationNetwork(recipe.network.model_copy(update=sizes))
        network.load_state_dict(load_file(folder / "averaged.safetensors"))
    return network.eval().requires_grad_(False), tokenizer


def _repair(recipe: TranslationRecipe) -> EntityRepair:
    """Stand-ins, and the words that need none, as the training text has them."""
    pairs = read_pairs(recipe.train, **recipe.columns)
    names = learn_substitution(pairs, rate=0.0).names
    return EntityRepair(
        stand_ins=learn_stand_ins(pairs, names),
        known=known_words(pair.source for pair in pairs),
    )


def _shortlist(recipe: TranslationRecipe, tokenizer: SubwordTokenizer) -> Shortlist:
    """What the training text's pieces become."""
    pairs = read_pairs(
        recipe.train, source_column=recipe.source_column, target_column=recipe.target_column
    )
    sources, targets = (tokenizer.encode_all([pair[side] for pair in pairs]) for side in (0, 1))
    return learn_shortlist(
        zip(sources, targets, strict=True), vocabulary_size=tokenizer.vocabulary_size
    )


def _training_commands(run: str, recipe: TranslationRecipe) -> tuple[str, ...]:
    """By the names of folders, which the recipes bear too; a run may go on from another."""
    runs = [run] if recipe.continue_from is None else [recipe.continue_from.name, run]
    return tuple(f"dragoman train translation --config {run}.toml --out runs/{run}" for run in runs)


def bleu_by_beam_width(
    translator: Translator, pairs: Sequence[SentencePair]
) -> dict[str, MetricScore]:
    """sacreBLEU (13a, mixed case) of the pairs' sources at each beam width measured."""
    scores = {}
    for beam_width in _BEAM_WIDTHS:
        options = TranslationOptions(beam_width=beam_width, split_sentences=True)
        answers = translator.translate([pair.source for pair in pairs], options)
        hypotheses = [answer[0].text for answer in answers]
        scores[f"beam_{beam_width}"] = corpus_bleu(hypotheses, [pair.target for pair in pairs])
    return scores


def measure(run: TrainedRun, *, test: Path, probes: Path) -> RunFigures:
    """Dev and test BLEU, and how many unseen names, places and numbers survive."""

    def pairs(path: Path | tuple[Path, Path]) -> list[SentencePair]:
        return read_pairs(path, **run.recipe.columns)

    outcomes = probe_translator(
        run.translator, read_probes(probes), TranslationOptions(split_sentences=True)
    )
    dev_bleu, test_bleu = (
        bleu_by_beam_width(run.translator, pairs(path)) for path in (run.recipe.dev, test)
    )
    return RunFigures(
        dev_bleu={width: round(bleu.score, 2) for width, bleu in dev_bleu.items()},
        test_bleu={width: round(bleu.score, 2) for width, bleu in test_bleu.items()},
        survival=survival_rates(outcomes),
        signature=test_bleu["beam_5"].signature,
        curve=[
            {name: float(row[name]) for name in ("pass", "train_loss", "dev_loss", "dev_bleu")}
            for row in run.curve
        ],
    )


def export(
    run: TrainedRun, out: Path, *, figures: RunFigures, data: TrainingData, command: str
) -> None:
    """Writes the bundle ``out`` (NAME/VERSION).

    Raises:
        BundleError: it cannot be written.
    """
    recipe, config = run.recipe, _config(run, data)
    name, files = out.absolute().parent.name, {"tokenizer.model": run.tokenizer.model_bytes}
    files[SHORTLIST] = run.shortlist.to_bytes()
    if (repair := run.translator.repair) is not None:
        files[KNOWN_WORDS] = "\n".join(sorted(repair.known)).encode()
    write_bundle(
        out,
        config=config,
        tensors=run.tensors,
        files=files,
        metrics={"command": command, **figures.as_metrics()},
        card=translation_card(
            name=name, recipe=recipe, encoding=run.encoding.value,
            parameters=config["parameter_count"], figures=figures, data=data,
            commands=[*run.commands, command],
        ),
    )  # fmt: skip


def _config(run: TrainedRun, data: TrainingData) -> dict[str, Any]:
    network, recipe, repair = run.translator.network, run.recipe, run.translator.repair
    return {
        "family": "translation",
        "description": f"Translates {recipe.source_language} into {recipe.target_language}: "
        f"{recipe.network.cell.upper()} encoder-decoder with {recipe.network.attention} attention.",
        "license": data.license,
        "source_languages": [recipe.source_language],
        "target_languages": [recipe.target_language],
        "vocabulary_size": run.tokenizer.vocabulary_size,
        "parameter_count": sum(parameter.numel() for parameter in network.parameters()),
        "weight_encoding": run.encoding.value,
        "network": network.config.model_dump(),
        "recipe": recipe.as_config(),
        "libraries": {
            "torch": torch.__version__,
            "sentencepiece": sentencepiece.__version__,
            "safetensors": safetensors.__version__,
        },
        "shortlist": True,
        **({} if repair is None else {"stand_ins": repair.stand_ins.as_config()}),
    }


def main(
    run: RunFolder,
    config: RecipeFile,
    out: NewBundle,
    test: Annotated[Path, typer.Option(help="Test pairs, in the format of the recipe's data.")],
    probes: Annotated[Path, typer.Option(help="Lines of kind, entity, sentence, with tabs.")],
    data: Data,
    data_license: DataLicense,
    attribution: Attribution,
    weights: Annotated[
        WeightEncoding, typer.Option(help="How the weights are stored.")
    ] = WeightEncoding.INT8_ROWS,
) -> None:
    """Measure a finished training run and write it as a bundle."""
    torch.set_num_threads(1)
    command = kept_command(
        "dragoman_models.translation.export", run=run, config=config, out=out, test=test.name,
        probes=probes.name, data=data, data_license=data_license, attribution=attribution,
        weights=weights.value,
    )  # fmt: skip
    with reported_errors():
        check_new_folder(out)
        trained = read_run(run, read_recipe(config), weights)
        figures = measure(trained, test=test, probes=probes)
        source = TrainingData(description=data, license=data_license, attribution=attribution)
        export(trained, out, figures=figures, data=source, command=command)
    typer.echo(f"{out}: test BLEU {figures.test_bleu}, survival {figures.survival}")


if __name__ == "__main__":
    typer.run(main)

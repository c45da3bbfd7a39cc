"""Measures runs of a recipe on Multi30k's test sets: each seed, their mean, and their ensemble.

    python -m dragoman_models.translation.measure_multi30k \
        --config docs/recipes/multi30k/en-de.toml --run runs/multi30k-en-de-1 \
        --run runs/multi30k-en-de-2 --run runs/multi30k-en-de-3 \
        --data docs/recipes/multi30k/data/multi30k --out docs/results/multi30k
"""

from __future__ import annotations

import json
import shlex
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import typer

from dragoman_models.errors import DragomanError, InvalidInputError, TrainingError
from dragoman_models.metrics.translation_quality import MetricScore
from dragoman_models.training import write_atomically
from dragoman_models.translation.corpus import SentencePair, read_pairs
from dragoman_models.translation.curve_plot import plot_curves
from dragoman_models.translation.export import bare_run
from dragoman_models.translation.paper_protocol import PAPER, PLAIN, protocol_scores
from dragoman_models.translation.recipe import TranslationRecipe, read_recipe
from dragoman_models.translation.text_preparation import MosesText
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

TEST_SETS = ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")
_PROTOCOLS = {
    PLAIN: "sacreBLEU 13a, mixed case, detokenized",
    PAPER: "lowercased, normalized, tokenized (sacremoses), multi-bleu",
}


@dataclass(frozen=True, kw_only=True)
class SetFigures:
    """BLEU of one test set by one protocol: of each run, and of all together if there are more."""

    runs: tuple[float, ...]
    ensemble: float | None
    signature: str

    @property
    def mean(self) -> float:
        """Over the runs."""
        return statistics.fmean(self.runs)

    @property
    def deviation(self) -> float | None:
        """Of the sample (divided by runs - 1); None of a single run."""
        return statistics.stdev(self.runs) if len(self.runs) > 1 else None

    def as_json(self) -> dict[str, Any]:
        """Rounded to hundredths."""
        return {
            "runs": [round(one, 2) for one in self.runs],
            "mean": round(self.mean, 2),
            "deviation": None if self.deviation is None else round(self.deviation, 2),
            "ensemble": None if self.ensemble is None else round(self.ensemble, 2),
            "signature": self.signature,
        }


Figures = dict[str, dict[str, SetFigures]]  # by test set, by protocol


def read_test_set(recipe: TranslationRecipe, data: Path, name: str) -> list[SentencePair]:
    """The raw pairs of files NAME.LANGUAGE.gz, or without .gz."""
    paths = []
    for language in (recipe.source_language, recipe.target_language):
        packed = data / f"{name}.{language}.gz"
        paths.append(packed if packed.exists() else packed.with_suffix(""))
    return read_pairs((paths[0], paths[1]), source_column=1, target_column=2)


def run_translators(recipe: TranslationRecipe, runs: Sequence[Path]) -> list[Translator]:
    """A translator of each run, and behind them that of all together if there are more than one.

    Nothing is repaired, rounded or left out: the networks' own words, by torch's arithmetic.

    Raises:
        TrainingError: a run is missing or of another recipe, or they have no tokenizer in common.
    """
    translators = [
        Translator(
            *bare_run(run, recipe),
            source_language=recipe.source_language,
            target_language=recipe.target_language,
        )
        for run in runs
    ]
    if len(translators) == 1:
        return translators
    try:
        return [*translators, translators[0].ensemble_with(translators[1:])]
    except InvalidInputError as error:
        raise TrainingError(
            f"runs can be joined only if they share a tokenizer: {error}; train them with one "
            "recipe and other seeds, or give them one shared_tokenizer"
        ) from error


def measure(
    recipe: TranslationRecipe, runs: Sequence[Path], data: Path, *,
    sets: Sequence[str] = TEST_SETS, beam_width: int = 5,
) -> Figures:  # fmt: skip
    """Translates the test sets by each run and by all of them.

    Raises:
        TrainingError: a run or a file is missing or of another recipe, or runs have no tokenizer
            in common.
    """
    translators = run_translators(recipe, runs)
    options = TranslationOptions(beam_width=beam_width)
    figures: Figures = {}
    for name in sets:
        pairs = read_test_set(recipe, data, name)
        sources = [pair.source for pair in pairs]
        if recipe.preparation == "moses_lowercase":
            moses = MosesText(recipe.source_language)
            sources = [moses.prepare(source) for source in sources]
        scored = [
            protocol_scores(
                [answer[0].text for answer in translator.translate(sources, options)],
                [pair.target for pair in pairs],
                language=recipe.target_language,
                preparation=recipe.preparation,
            )
            for translator in translators
        ]
        figures[name] = {
            protocol: _set_figures([scores[protocol] for scores in scored], len(runs))
            for protocol in scored[0]
        }
    return figures


def _set_figures(scores: list[MetricScore], runs: int) -> SetFigures:
    """Of each run, and behind them of the ensemble, where there is one."""
    values = [score.score for score in scores]
    return SetFigures(
        runs=tuple(values[:runs]),
        ensemble=values[runs] if len(values) > runs else None,
        signature=scores[0].signature,
    )


def as_table(figures: Figures) -> str:
    """Markdown: a row a test set and protocol."""
    lines = [
        "| test set | protocol | runs | mean ± deviation | ensemble |",
        "|---|---|---|---|---|",
    ]
    for name, protocols in figures.items():
        for protocol, one in protocols.items():
            runs = ", ".join(f"{value:.1f}" for value in one.runs)
            deviation = "" if one.deviation is None else f" ± {one.deviation:.1f}"
            joined = "" if one.ensemble is None else f"{one.ensemble:.1f}"
            lines.append(
                f"| {name} | {_PROTOCOLS[protocol]} | {runs} | {one.mean:.1f}{deviation} "
                f"| {joined} |"
            )
    return "\n".join(lines) + "\n"


def write_report(
    figures: Figures, recipe: TranslationRecipe, runs: Sequence[Path], out: Path, *, command: str
) -> None:
    """Writes SOURCE-TARGET.json, .md and .png into the folder ``out``."""
    from sacrebleu import __version__ as sacrebleu_version
    from sacremoses import __version__ as sacremoses_version

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise TrainingError(f"cannot make the folder {out}: {error}") from error
    name = f"{recipe.source_language}-{recipe.target_language}"
    content = {
        "command": command,
        "libraries": {"sacrebleu": sacrebleu_version, "sacremoses": sacremoses_version},
        "recipe": recipe.as_config(),
        "figures": {
            test: {protocol: one.as_json() for protocol, one in protocols.items()}
            for test, protocols in figures.items()
        },
    }
    write_atomically(out / f"{name}.json", (json.dumps(content, indent=2) + "\n").encode())
    text = (
        f"# Multi30k, {name}\n\n{as_table(figures)}\n![learning curves]({name}.png)\n\n"
        f"    {command}\n"
    )
    write_atomically(out / f"{name}.md", text.encode())
    plot_curves({run.name: read_curve(run) for run in runs}, out / f"{name}.png")


def read_curve(run: Path) -> list[dict[str, str]]:
    """The rows of a run's log.csv."""
    import csv

    try:
        with (run / "log.csv").open(newline="") as file:
            return list(csv.DictReader(file))
    except OSError as error:
        raise TrainingError(f"cannot read the learning curve of {run}: {error}") from error


def main(
    run: Annotated[list[Path], typer.Option(help="A finished run; once for each seed.")],
    config: Annotated[Path, typer.Option(help="The recipe they were trained by.")],
    data: Annotated[Path, typer.Option(help="The folder of test_2016_flickr.en.gz and others.")],
    out: Annotated[Path, typer.Option(help="The folder for the report.")],
    test_set: Annotated[list[str] | None, typer.Option(help="In place of all three.")] = None,
    beam_width: Annotated[int, typer.Option(min=1, max=64)] = 5,
    threads: Annotated[int, typer.Option(min=1)] = 1,
) -> None:
    """Measure runs on Multi30k's test sets and write a table, figures and learning curves."""
    torch.set_num_threads(threads)
    words = ["--config", config.name]
    words += [word for one in run for word in ("--run", f"runs/{one.name}")]
    words += ["--data", data.name, "--out", out.name, "--beam-width", str(beam_width)]
    command = shlex.join(["python", "-m", "dragoman_models.translation.measure_multi30k", *words])
    try:
        recipe = read_recipe(config)
        sets = test_set or TEST_SETS
        figures = measure(recipe, run, data, sets=sets, beam_width=beam_width)
        write_report(figures, recipe, run, out, command=command)
    except DragomanError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    typer.echo(as_table(figures))


if __name__ == "__main__":
    typer.run(main)

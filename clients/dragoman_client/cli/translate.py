"""`dragoman translate`: texts, a file, or standard input line by line."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from dragoman_client.cli.attention_picture import check_attention_picture, plot_best_attention
from dragoman_client.cli.connection import (
    DEFAULT_SECONDS,
    DEFAULT_SERVER,
    Json,
    ModelName,
    Server,
    Timeout,
    connect,
    model_named,
)
from dragoman_client.cli.json_output import error_values, model_values, print_json
from dragoman_client.cli.reporting import FAILED, CommandError, described, described_item, report
from dragoman_client.cli.text_input import opened, read_batches
from dragoman_client.cli.translation_options import (
    AttentionPicture,
    Banned,
    BeamWidth,
    CoveragePenalty,
    DiverseGroups,
    DiversityStrength,
    Ensemble,
    InputFile,
    LengthPenalty,
    MaxLength,
    MaxLengthRatio,
    MinLength,
    MinLengthRatio,
    MinP,
    NBest,
    NoRepeatNgramSize,
    Normalization,
    Prefix,
    RepetitionPenalty,
    Required,
    Sample,
    Seed,
    Splitting,
    Stopping,
    Temperature,
    Texts,
    TopK,
    TopP,
    TypicalP,
    WordAlignments,
    sampling_options,
)
from dragoman_client.client import Client
from dragoman_client.errors import DragomanClientError
from dragoman_client.lines import Line, TranslatedLine, gather, one_line, translate_batch
from dragoman_client.options import TranslationOptions
from dragoman_client.requests.fields import Model
from dragoman_client.results import Hypothesis, Translation


def translate(
    texts: Texts = None,
    file: InputFile = None,
    model: ModelName = "",
    beam_width: BeamWidth = None,
    n_best: NBest = None,
    length_normalization: Normalization = None,
    length_penalty: LengthPenalty = None,
    max_length: MaxLength = None,
    min_length: MinLength = None,
    max_length_ratio: MaxLengthRatio = None,
    min_length_ratio: MinLengthRatio = None,
    coverage_penalty: CoveragePenalty = None,
    early_stopping: Stopping = None,
    no_repeat_ngram_size: NoRepeatNgramSize = None,
    repetition_penalty: RepetitionPenalty = None,
    diverse_groups: DiverseGroups = None,
    diversity_strength: DiversityStrength = None,
    prefix: Prefix = "",
    require: Required = None,
    ban: Banned = None,
    sample: Sample = False,
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    min_p: MinP = None,
    typical_p: TypicalP = None,
    seed: Seed = None,
    ensemble: Ensemble = None,
    sentence_splitting: Splitting = None,
    alignments: WordAlignments = False,
    plot_attention: AttentionPicture = None,
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Translate texts, each on a line of its own.

    There is one line of output for each line of input: an empty one for a blank line, and for one
    that failed, which is reported on standard error.
    """
    if alignments and not json:
        raise typer.BadParameter("goes with --json", param_hint="--alignments")
    source = _Source(texts=texts, file=file)
    if plot_attention is not None:
        source.check_picture(plot_attention)
    options = TranslationOptions(
        beam_width=beam_width,
        n_best=n_best,
        length_normalization=length_normalization,
        length_penalty=length_penalty,
        max_length=max_length,
        min_length=min_length,
        max_length_ratio=max_length_ratio,
        min_length_ratio=min_length_ratio,
        coverage_penalty=coverage_penalty,
        early_stopping=early_stopping,
        no_repeat_ngram_size=no_repeat_ngram_size,
        repetition_penalty=repetition_penalty,
        diverse_groups=diverse_groups,
        diversity_strength=diversity_strength,
        banned_phrases=tuple(ban or ()),
        sampling=sampling_options(
            sample=sample, temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p,
            typical_p=typical_p, seed=seed,
        ),
        ensemble_models=[model_named(name) for name in ensemble or ()],
        sentence_splitting=sentence_splitting,
        return_alignments=alignments or plot_attention is not None,
    )  # fmt: skip
    wanted = _Wanted(prefix=prefix, phrases=tuple(require or ()))
    show = _print_json if json else _print_best if n_best is None else _print_n_best
    with connect(server, timeout) as client:
        batches = _translated(client, source, model_named(model), options, wanted)
        _show_all(batches, source, show, picture=plot_attention)


def _show_all(
    batches: Iterable[list[TranslatedLine]],
    source: _Source,
    show: Callable[[TranslatedLine], None],
    *,
    picture: Path | None,
) -> None:
    failures = 0
    for translated in batches:
        for one in translated:
            show(one)
            failures += source.report_error(one)
            if picture is not None and isinstance(one.result, Translation):
                plot_best_attention(one.result, picture)
        sys.stdout.flush()
    if failures:
        raise typer.Exit(FAILED)


@dataclass(frozen=True, kw_only=True)
class _Wanted:
    """What each translation begins with, and contains."""

    prefix: str
    phrases: tuple[str, ...]


class _Source:
    """Where the texts come from, and how messages call them."""

    def __init__(self, *, texts: list[str] | None, file: Path | None) -> None:
        if texts and file is not None:
            raise typer.BadParameter("give texts or --file, not both")
        self.texts = texts
        self.file = file
        self.unit = "text" if texts else "line"

    def check_picture(self, out: Path) -> None:
        """Raises where the attention cannot be drawn to ``out``."""
        if len(self.texts or ()) != 1:
            raise typer.BadParameter("goes with one TEXT", param_hint="--plot-attention")
        check_attention_picture(out)

    def batches(self) -> Iterator[list[Line]]:
        if self.texts:
            yield from gather(Line(number=i, text=text) for i, text in enumerate(self.texts, 1))
            return
        if self.file is None and sys.stdin is not None and sys.stdin.isatty():
            report("reading standard input; Ctrl-D ends it")
        with opened(self.file) as (descriptor, name):
            yield from read_batches(descriptor, name)

    def place(self, first: Line, last: Line) -> str:
        """Which lines a message is about; nothing where there is only one text."""
        if self.texts and len(self.texts) == 1:
            return ""
        if first.number == last.number:
            return f"{self.unit} {first.number}: "
        return f"{self.unit}s {first.number} to {last.number}: "

    def report_error(self, one: TranslatedLine) -> bool:
        """Reports the error of one text, if there is one; whether there was."""
        error = one.result
        if not isinstance(error, DragomanClientError):
            return False
        report(f"{self.place(one.line, one.line)}{described_item(error)}")
        return True


def _translated(
    client: Client, source: _Source, model: Model, options: TranslationOptions, wanted: _Wanted
) -> Iterator[list[TranslatedLine]]:
    for batch in source.batches():
        try:
            yield translate_batch(
                client, batch, model=model, options=options, target_prefix=wanted.prefix,
                required_phrases=wanted.phrases, send_blank=bool(source.texts),
            )  # fmt: skip
        except DragomanClientError as error:
            raise CommandError(f"{source.place(batch[0], batch[-1])}{described(error)}") from error


def _print_best(one: TranslatedLine) -> None:
    sys.stdout.write(f"{one.text}\n")


def _print_n_best(one: TranslatedLine) -> None:
    found = one.result
    if isinstance(found, Translation):
        for hypothesis in found.hypotheses:
            text = one_line(hypothesis.text)
            sys.stdout.write(f"{one.line.number}\t{hypothesis.score:.4f}\t{text}\n")


def _print_json(one: TranslatedLine) -> None:
    values: dict[str, Any] = {"line": one.line.number, "source": one.line.text}
    if isinstance(one.result, DragomanClientError):
        print_json(**values, **error_values(one.result))
    elif one.result is None:
        print_json(**values, translation="", hypotheses=[])
    else:
        hypotheses = [
            {
                "text": hypothesis.text,
                "score": hypothesis.score,
                "log_prob": hypothesis.log_prob,
                "finish_reason": hypothesis.finish_reason,
                **_word_links(one.line.text, hypothesis),
            }
            for hypothesis in one.result.hypotheses
        ]
        values |= {"translation": one.result.text, "hypotheses": hypotheses}
        if one.result.seed is not None:
            values["seed"] = one.result.seed
        if one.result.ensemble_models:
            values["ensemble_models"] = [str(partner) for partner in one.result.ensemble_models]
        print_json(**values, **model_values(one.result.model))


def _word_links(source: str, hypothesis: Hypothesis) -> dict[str, Any]:
    """The linked words and their spans, where they were asked for."""
    if hypothesis.alignment is None:
        return {}
    links = [
        {
            "target": hypothesis.text[slice(*link.target)],
            "source": source[slice(*link.source)],
            "target_span": link.target,
            "source_span": link.source,
            "weight": link.weight,
        }
        for link in hypothesis.alignment.word_links
    ]
    return {"word_links": links}

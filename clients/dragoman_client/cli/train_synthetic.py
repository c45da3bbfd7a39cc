"""`dragoman train back-translation`: sentence pairs made of text in one language, by a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import CommandError, report

_INTERRUPTED = 130

Words = typer.Option(min=1, metavar="N", help="Words of a sentence.")


def back_translation(
    model: Annotated[Path, typer.Option(metavar="NAME/VERSION", help="A translator's bundle.")],
    text: Annotated[
        list[Path], typer.Option(metavar="FILE", help="UTF-8, plain or .gz; repeatable.")
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The pairs, as tab-separated lines.")],
    exclude: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Dev and test pairs, probes: no pair holds a sentence of theirs; repeatable.",
        ),
    ],
    column: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="The text is this column of tab-separated lines."),
    ] = None,
    split: Annotated[
        bool, typer.Option("--split", help="Lines are paragraphs: take them apart into sentences.")
    ] = False,
    fewest_words: Annotated[int, Words] = 1,
    most_words: Annotated[int, Words] = 20,
    most: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Take the first N sentences only.")
    ] = None,
    beam_width: Annotated[int, typer.Option(min=1, max=64, metavar="K")] = 1,
    top_k: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Draw from the K most probable tokens; no search."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, metavar="N", help="Of what is drawn.")] = 0,
    forward: Annotated[
        bool,
        typer.Option("--forward", help="The text is the source of the pairs, not the target."),
    ] = False,
    least_log_prob: Annotated[
        float, typer.Option(help="Nats a token that a translation must have on average.")
    ] = -1.0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted file.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:
    """Translate text into synthetic training pairs: source, target and origin, with tabs.

    The translation stands on the source side, the text on the target side (Sennrich et al. 2016):
    to train fr-en, translate English text by an en-fr model. Ctrl-C stops it, and --resume goes on.
    """
    with needs_extra("train"):
        import torch

        from dragoman_models.errors import DragomanError
        from dragoman_models.search.sampling_options import SamplingOptions
        from dragoman_models.translation.back_translation import (
            Progress,
            SyntheticOptions,
            SyntheticPairs,
            read_translator,
        )
        from dragoman_models.translation.held_out import read_held_out
        from dragoman_models.translation.monolingual import SentenceSource
        from dragoman_models.translation.pair_filter import PairFilter
        from dragoman_models.translation.translation_options import TranslationOptions
    torch.set_num_threads(threads)
    name = f"{model.absolute().parent.name}/{model.name}"

    def tell(progress: Progress) -> None:
        report(f"{progress.sentences:,} sentences, {_counts(progress.verdicts)}")

    try:
        pairs = SyntheticPairs(
            read_translator(model),
            SyntheticOptions(
                text=SentenceSource(
                    paths=tuple(text), column=column, split=split, fewest_words=fewest_words,
                    most_words=most_words, most=most,
                ),
                filter=PairFilter(
                    held_out=read_held_out(exclude), least_log_prob=least_log_prob
                ),
                search=TranslationOptions(
                    beam_width=beam_width,
                    sampling=None if top_k is None else SamplingOptions(top_k=top_k),
                    seed=seed,
                ),
                forward=forward,
                origin=f"{'translated' if forward else 'back-translated'} by {name}",
            ),
            out,
        )  # fmt: skip
        done = pairs.run(resume=resume, report=tell)
    except DragomanError as error:
        raise CommandError(str(error)) from error
    except KeyboardInterrupt as error:
        report("interrupted; the same command with --resume goes on")
        raise typer.Exit(_INTERRUPTED) from error
    typer.echo(f"{out}: {done.verdicts.get('kept', 0):,} pairs of {done.sentences:,} sentences")


def _counts(verdicts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(verdicts.items()))

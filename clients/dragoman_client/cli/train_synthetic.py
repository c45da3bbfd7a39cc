"""`dragoman train back-translation`: sentence pairs made of text in one language, by a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.reporting import report
from dragoman_client.cli.training_options import SAME_COMMAND, Threads, interruptible

Model = Annotated[Path, typer.Option(metavar="NAME/VERSION", help="A translator's bundle.")]
Text = Annotated[list[Path], typer.Option(metavar="FILE", help="UTF-8, plain or .gz; repeatable.")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="The pairs, as tab-separated lines.")]
Exclude = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE",
        help="Dev and test pairs, probes: no pair holds a sentence of theirs; repeatable.",
    ),
]
Column = Annotated[
    int | None,
    typer.Option(min=1, metavar="N", help="The text is this column of tab-separated lines."),
]
Split = Annotated[
    bool, typer.Option("--split", help="Lines are paragraphs: take them apart into sentences.")
]
Words = Annotated[int, typer.Option(min=1, metavar="N", help="Words of a sentence.")]
Most = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="Take the first N sentences only.")
]
BeamWidth = Annotated[int, typer.Option(min=1, max=64, metavar="K")]
TopK = Annotated[
    int | None,
    typer.Option(min=1, metavar="K", help="Draw from the K most probable tokens; no search."),
]
Seed = Annotated[int, typer.Option(min=0, metavar="N", help="Of what is drawn.")]
Forward = Annotated[
    bool, typer.Option("--forward", help="The text is the source of the pairs, not the target.")
]
LeastLogProb = Annotated[
    float, typer.Option(help="Nats a token that a translation must have on average.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on with an interrupted file.")]


def back_translation(
    model: Model,
    text: Text,
    out: Out,
    exclude: Exclude,
    column: Column = None,
    split: Split = False,
    fewest_words: Words = 1,
    most_words: Words = 20,
    most: Most = None,
    beam_width: BeamWidth = 1,
    top_k: TopK = None,
    seed: Seed = 0,
    forward: Forward = False,
    least_log_prob: LeastLogProb = -1.0,
    resume: Resume = False,
    threads: Threads = 1,
) -> None:
    """Translate text into synthetic training pairs: source, target and origin, with tabs.

    The translation stands on the source side, the text on the target side (Sennrich et al. 2016):
    to train fr-en, translate English text by an en-fr model. Ctrl-C stops it, and --resume goes on.
    """
    with needs_extra("train"):
        import torch

        from dragoman_models.translation import back_translation as synthetic
        from dragoman_models.translation.held_out import read_held_out
        from dragoman_models.translation.monolingual import SentenceSource
        from dragoman_models.translation.pair_filter import PairFilter
    torch.set_num_threads(threads)
    with interruptible(lambda: SAME_COMMAND):
        translator = synthetic.read_translator(model)
        source = SentenceSource(
            paths=tuple(text), column=column, split=split, fewest_words=fewest_words,
            most_words=most_words, most=most,
        )  # fmt: skip
        options = synthetic.SyntheticOptions(
            text=source,
            filter=PairFilter(held_out=read_held_out(exclude), least_log_prob=least_log_prob),
            search=_search(beam_width=beam_width, top_k=top_k, seed=seed),
            forward=forward,
            origin=_origin(model, forward=forward),
        )
        done = synthetic.SyntheticPairs(translator, options, out).run(resume=resume, report=_tell)
    typer.echo(f"{out}: {done.verdicts.get('kept', 0):,} pairs of {done.sentences:,} sentences")


def _search(*, beam_width: int, top_k: int | None, seed: int) -> Any:
    from dragoman_models.search.sampling_options import SamplingOptions
    from dragoman_models.translation.translation_options import TranslationOptions

    sampling = None if top_k is None else SamplingOptions(top_k=top_k)
    return TranslationOptions(beam_width=beam_width, sampling=sampling, seed=seed)


def _origin(model: Path, *, forward: bool) -> str:
    name = f"{model.absolute().parent.name}/{model.name}"
    return f"{'translated' if forward else 'back-translated'} by {name}"


def _tell(progress: Any) -> None:
    counts = (f"{count:,} {name}" for name, count in sorted(progress.verdicts.items()))
    report(f"{progress.sentences:,} sentences, {', '.join(counts)}")

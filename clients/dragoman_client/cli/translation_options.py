"""The options of `dragoman translate` and `evaluate`: what to translate, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.options import (
    EarlyStopping,
    LengthNormalization,
    SamplingOptions,
    SentenceSplitting,
)

BeamWidth = Annotated[
    int | None,
    typer.Option(
        "--beam-width", "-b", metavar="N", show_default="5",
        help="Hypotheses that beam search keeps, 1 (greedy) to 64.",
    ),
]  # fmt: skip
Normalization = Annotated[
    LengthNormalization | None,
    typer.Option(
        show_default="wu_2016", help="How hypotheses of different lengths are made comparable."
    ),
]
LengthPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="ALPHA", show_default="1", help="0 to 10; higher favours longer translations."
    ),
]
Texts = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[TEXT]...", show_default=False,
        help="The texts; without any, the lines of --file or of standard input.",
    ),
]  # fmt: skip
InputFile = Annotated[
    Path | None,
    typer.Option("--file", "-f", metavar="FILE", help="A UTF-8 file to translate line by line."),
]
NBest = Annotated[
    int | None,
    typer.Option(
        metavar="N", show_default="1",
        help="Translations of each text, best first. With it, a line of output holds the number of "
        "the text, the score and the translation, with tabs between.",
    ),
]  # fmt: skip
MaxLength = Annotated[int | None, typer.Option(metavar="N", help="Most tokens of a translation.")]
MinLength = Annotated[int | None, typer.Option(metavar="N", help="Fewest tokens of a translation.")]
MaxLengthRatio = Annotated[
    float | None, typer.Option(metavar="R", help="Most tokens for each token of the source.")
]
MinLengthRatio = Annotated[
    float | None, typer.Option(metavar="R", help="Fewest tokens for each token of the source.")
]
CoveragePenalty = Annotated[
    float | None,
    typer.Option(
        metavar="BETA", show_default="0",
        help="0 to 100; higher favours translations that leave nothing of the source unread.",
    ),
]  # fmt: skip
Stopping = Annotated[
    EarlyStopping | None,
    typer.Option(
        "--early-stopping", show_default="when_no_better_is_possible", help="When the search ends."
    ),
]
NoRepeatNgramSize = Annotated[
    int | None, typer.Option(metavar="N", help="No N tokens in a row occur twice.")
]
Prefix = Annotated[str, typer.Option(metavar="TEXT", help="What each translation must begin with.")]
RepetitionPenalty = Annotated[
    float | None,
    typer.Option(
        metavar="FACTOR", show_default="1",
        help="Divides the probability of tokens that the translation already holds; at least 1.",
    ),
]  # fmt: skip
Required = Annotated[
    list[str] | None,
    typer.Option(
        "--require", metavar="PHRASE", show_default=False,
        help="What each translation must contain, as whole words; repeatable.",
    ),
]  # fmt: skip
Banned = Annotated[
    list[str] | None,
    typer.Option(
        "--ban", metavar="PHRASE", show_default=False,
        help="What no translation may contain, as whole words; repeatable.",
    ),
]  # fmt: skip
DiverseGroups = Annotated[
    int | None,
    typer.Option(
        metavar="G", help="Groups of the beam that are pushed apart; G must divide the beam width."
    ),
]
DiversityStrength = Annotated[
    float | None,
    typer.Option(
        metavar="S", show_default="0.5", help="How hard --diverse-groups are pushed apart, from 0."
    ),
]
Sample = Annotated[
    bool,
    typer.Option("--sample", help="Draw the translations at random; so do the options of chance."),
]
Temperature = Annotated[
    float | None,
    typer.Option("--temperature", "-t", show_default="1", help="Of samples; 0: no chance."),
]
TopK = Annotated[
    int | None, typer.Option(metavar="K", help="Draw among the K most probable tokens.")
]
TopP = Annotated[
    float | None,
    typer.Option(metavar="P", show_default="1", help="Draw among the fewest of probability P."),
]
MinP = Annotated[
    float | None,
    typer.Option(metavar="P", show_default="0", help="Draw among those P times the best's."),
]
TypicalP = Annotated[
    float | None,
    typer.Option(metavar="P", show_default="1", help="Draw among the most typical of P."),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Draws the same again.")]
Ensemble = Annotated[
    list[str] | None,
    typer.Option(
        metavar="MODEL", show_default=False,
        help="Another model, NAME or NAME/VERSION, whose probabilities are averaged with the "
        "first's; repeatable.",
    ),
]  # fmt: skip
Splitting = Annotated[
    SentenceSplitting | None,
    typer.Option(
        "--sentence-splitting", show_default="at_sentence_ends",
        help="What happens with a text of several sentences.",
    ),
]  # fmt: skip
WordAlignments = Annotated[
    bool,
    typer.Option("--alignments", help="With --json: the words that belong together."),
]
AttentionPicture = Annotated[
    Path | None,
    typer.Option(
        "--plot-attention", metavar="FILE",
        help="Also draw the attention of the best translation of one TEXT: .png, .svg, .pdf or "
        ".html.",
    ),
]  # fmt: skip


def sampling_options(
    *,
    sample: bool,
    temperature: float | None,
    top_k: int | None,
    top_p: float | None,
    min_p: float | None,
    typical_p: float | None,
    seed: int | None,
) -> SamplingOptions | None:
    """How to draw, where any of the options asks for it."""
    made = SamplingOptions(
        temperature=temperature, top_k=top_k, top_p=top_p, min_p=min_p, typical_p=typical_p,
        seed=seed,
    )  # fmt: skip
    return made if sample or made != SamplingOptions() else None

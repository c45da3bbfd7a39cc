"""The options of `dragoman translate` and `evaluate`: what to translate, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.options import EarlyStopping, LengthNormalization

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

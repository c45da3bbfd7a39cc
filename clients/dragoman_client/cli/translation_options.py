"""The options of `dragoman translate` and `evaluate`: what to translate, and how."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.options import LengthNormalization

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

"""The options of `dragoman nearest` and `analogy`: what is searched, and how."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.options import AnalogyMethod, SearchMethod, SearchOptions, WordLookup
from dragoman_client.queries import WeightedWords

_WEIGHTED = re.compile(r"(?P<weight>\d+(\.\d*)?|\.\d+)\*(?P<word>.+)", re.DOTALL)

Count = Annotated[int, typer.Option("-k", metavar="N", help="How many words to print.")]
Lookup = Annotated[
    WordLookup | None,
    typer.Option(
        show_default="case_fallback",
        help="Whether a word that is missing as it is written may be found in another case.",
    ),
]
Plus = Annotated[
    list[str] | None,
    typer.Option(
        metavar="[WEIGHT*]WORD", show_default=False,
        help="A word to add to a weighted sum that is searched for, as king or 0.5*king.",
    ),
]  # fmt: skip
Minus = Annotated[
    list[str] | None,
    typer.Option(metavar="[WEIGHT*]WORD", show_default=False, help="A word to take from the sum."),
]
Excluded = Annotated[
    list[str] | None,
    typer.Option(
        "--exclude", metavar="WORD", show_default=False, help="A word not to print; repeatable."
    ),
]
MaxRank = Annotated[
    int | None,
    typer.Option(
        metavar="N", show_default="all", help="Search only the N most frequent words."
    ),
]  # fmt: skip
MinScore = Annotated[
    float | None,
    typer.Option(metavar="SCORE", show_default="all", help="Print only words that score as high."),
]
Approximate = Annotated[
    bool,
    typer.Option(
        "--approximate",
        help="Search by the model's index, which is faster and may miss a neighbour.",
    ),
]
QueryFile = Annotated[
    Path | None,
    typer.Option(
        "--file", "-f", metavar="FILE",
        help="A UTF-8 file with a word a line, or - for standard input: one line of output each.",
    ),
]  # fmt: skip


class Method(enum.Enum):
    """The methods of analogies, by their usual names."""

    THREE_COS_ADD = "3cosadd"
    THREE_COS_MUL = "3cosmul"

    @property
    def chosen(self) -> AnalogyMethod:
        """The client's member."""
        return AnalogyMethod[self.name]


AnalogyMethodName = Annotated[
    Method, typer.Option("--method", help="How an answer is scored (Levy and Goldberg 2014).")
]


def search_options(
    *,
    k: int,
    lookup: WordLookup | None,
    exclude: list[str] | None,
    max_rank: int | None,
    min_score: float | None,
    approximate: bool,
) -> SearchOptions:
    """The options as the client takes them."""
    return SearchOptions(
        k=k,
        lookup=lookup,
        excluded_words=tuple(exclude or ()),
        max_rank=max_rank,
        min_score=min_score,
        method=SearchMethod.APPROXIMATE if approximate else None,
    )


def weighted_words(plus: Sequence[str], minus: Sequence[str]) -> WeightedWords:
    """The sum that `--plus` and `--minus` ask for."""
    added = [_term(text) for text in plus]
    taken = [(word, -weight) for word, weight in map(_term, minus)]
    return WeightedWords(terms=(*added, *taken))


def _term(text: str) -> tuple[str, float]:
    match = _WEIGHTED.fullmatch(text)
    return (match["word"], float(match["weight"])) if match else (text, 1.0)

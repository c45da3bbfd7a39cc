"""The files that word vectors are measured by, as options name them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from dragoman_client.cli.reporting import CommandError

Items = TypeVar("Items")

Analogies = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Questions to measure the vectors by: questions-words.txt."),
]
Similarity = Annotated[
    list[str] | None,
    typer.Option(metavar="NAME=FILE", help="Judgements to measure the vectors by; repeatable."),
]


def read_word_sets(
    analogies: Path | None, similarity: Sequence[str] | None, *, fold_case: bool = True
) -> Any:
    """The `EvaluationSets` of the files; what is wrong in a file is said with its name and line."""
    from dragoman_models.embeddings.build_glove_bundle import EvaluationSets
    from dragoman_models.embeddings.evaluation import parse_analogies, parse_similarities

    files: dict[str, Path] = {}
    for item in similarity or []:
        name, equals, file = item.partition("=")
        if not (name and equals and file):
            raise typer.BadParameter(f"{item!r} is not NAME=FILE", param_hint="--similarity")
        if name in files:
            raise typer.BadParameter(f"{name!r} is given twice", param_hint="--similarity")
        files[name] = Path(file)
    questions: list[Any] = []
    if analogies is not None:
        questions = _parsed(analogies, partial(parse_analogies, fold_case=fold_case))
    judgements = {name: tuple(_parsed(file, parse_similarities)) for name, file in files.items()}
    return EvaluationSets(analogies=tuple(questions), similarities=judgements)


def _parsed(path: Path, parse: Callable[[str], Items]) -> Items:
    from dragoman_models.errors import InvalidInputError

    try:
        return parse(path.read_text(encoding="utf-8-sig"))
    except UnicodeDecodeError as error:
        raise CommandError(f"{path} is not UTF-8; convert it, for example with iconv") from error
    except InvalidInputError as error:
        raise CommandError(f"{path}, {error}") from error

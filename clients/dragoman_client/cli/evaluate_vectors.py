"""`dragoman evaluate-vectors`: word vectors measured by similarity and analogy sets."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.json_output import print_json
from dragoman_client.cli.model_errors import chosen, reported_model_errors
from dragoman_client.cli.progress import progress
from dragoman_client.cli.word_sets import Analogies, Similarity, read_word_sets

_COLUMNS = ("SET", "SECTION", "ITEMS", "COVERED", "COVERAGE", "RIGHT", "FIGURE")


Vectors = Annotated[
    Path, typer.Argument(metavar="VECTORS", help="A bundle NAME/VERSION, or a file of vectors.")
]
Method = Annotated[str, typer.Option(metavar="METHOD", help="3cosadd or 3cosmul, for analogies.")]
MaxRank = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="N", show_default="all",
        help="Look for answers of analogies among the N most frequent words.",
    ),
]  # fmt: skip
KeepCase = Annotated[
    bool, typer.Option("--keep-case", help="Look words of analogies up as they stand.")
]
OneJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]


def evaluate_vectors(
    vectors: Vectors,
    analogies: Analogies = None,
    similarity: Similarity = None,
    method: Method = "3cosadd",
    max_rank: MaxRank = None,
    keep_case: KeepCase = False,
    json: OneJson = False,
) -> None:
    """Measure word vectors: Spearman's correlation with judgements, and analogies answered right.

    Figures are over the covered items, those whose words are all known. Words of analogies are
    looked up in lowercase (but see --keep-case), those of pairs as they stand and then in
    lowercase. The three words of a question are no answers to it.
    """
    with needs_extra("models"):
        from dragoman_models.embeddings.formats.imported import ReadOptions
        from dragoman_models.embeddings.import_vectors import load_word_vectors
        from dragoman_models.embeddings.word_queries import AnalogyMethod
    rule = chosen(AnalogyMethod, method, "--method")
    if analogies is None and not similarity:
        raise typer.BadParameter("give --analogies, --similarity or both")
    with reported_model_errors():
        sets = read_word_sets(analogies, similarity, fold_case=not keep_case)
        size = None if vectors.is_dir() else vectors.stat().st_size
        with progress() as advance:
            read = ReadOptions(on_read=lambda count: advance("reading bytes", count, size))
            model = load_word_vectors(vectors, read)
        similarities = _similarities(model, sets)
        evaluation = _analogies(model, sets, rule, max_rank)
    if json:
        _print_json(vectors, model, similarities, evaluation, rule, max_rank)
    else:
        _print_table(similarities, evaluation)


def _similarities(model: Any, sets: Any) -> dict[str, Any]:
    from dragoman_models.embeddings.evaluation import evaluate_similarities
    from dragoman_models.errors import InvalidInputError

    found = {}
    for name, judgements in sets.similarities.items():
        try:
            found[name] = evaluate_similarities(model, judgements)
        except InvalidInputError as error:
            raise InvalidInputError.single(name, str(error)) from error
    return found


def _analogies(model: Any, sets: Any, rule: Any, max_rank: int | None) -> Any:
    from dragoman_models.embeddings.evaluation import evaluate_analogies

    if not sets.analogies:
        return None
    total = len(sets.analogies)
    with progress() as advance:
        return evaluate_analogies(
            model, sets.analogies, rule, max_rank=max_rank,
            done=lambda count: advance("answering questions", count, total),
        )  # fmt: skip


def _print_json(
    path: Path, model: Any, similarities: dict[str, Any],
    evaluation: Any, rule: Any, max_rank: int | None,
) -> None:  # fmt: skip
    values: dict[str, Any] = {
        "vectors": str(path),
        "words": model.vocabulary_size,
        "dimensions": model.dimensions,
        "similarity": {
            name: {
                "pairs": result.pairs,
                "covered": result.covered,
                # JSON has no NaN, which a constant series gives.
                "spearman": None if math.isnan(result.spearman) else result.spearman,
            }
            for name, result in similarities.items()
        },
    }
    if evaluation is not None:
        values["analogies"] = {
            "method": rule.value,
            "max_rank": max_rank,
            **_values(evaluation.total),
            "sections": {name: _values(scores) for name, scores in evaluation.sections.items()},
        }
    print_json(**values)


def _values(scores: Any) -> dict[str, int | float]:
    return {
        "questions": scores.questions,
        "covered": scores.covered,
        "correct": scores.correct,
        "coverage": scores.coverage,
        "accuracy": scores.accuracy,
    }


def _print_table(similarities: dict[str, Any], evaluation: Any) -> None:
    rows = [_similarity_row(name, result) for name, result in similarities.items()]
    if evaluation is not None:
        rows += [_analogy_row(section, scores) for section, scores in evaluation.sections.items()]
        rows.append(_analogy_row("all", evaluation.total))
    if not sys.stdout.isatty():
        for row in rows:
            typer.echo("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 1, 0, 0))  # fits into 80 columns
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in _COLUMNS[:2] else "right")
    for row in rows:
        table.add_row(*map(Text, row), style="bold" if row[1] in ("", "all") else "")
    Console().print(table)


def _similarity_row(name: str, result: Any) -> tuple[str, ...]:
    share = result.covered / result.pairs
    return (
        name, "", f"{result.pairs:,}", f"{result.covered:,}", f"{100 * share:.1f} %", "",
        f"rho {result.spearman:.3f}",
    )  # fmt: skip


def _analogy_row(section: str, scores: Any) -> tuple[str, ...]:
    figure = f"{100 * scores.accuracy:.1f} %" if scores.covered else "none"
    return (
        "analogies", section, f"{scores.questions:,}", f"{scores.covered:,}",
        f"{100 * scores.coverage:.1f} %", f"{scores.correct:,}", figure,
    )  # fmt: skip

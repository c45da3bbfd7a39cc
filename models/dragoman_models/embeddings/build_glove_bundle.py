"""Make a word-vector bundle from published GloVe vectors, measured before and after.

    python -m dragoman_models.embeddings.build_glove_bundle \\
        --source glove.6B.100d.txt --out models/glove-100d/1 \\
        --analogies questions-words.txt --similarity wordsim353=wordsim353.tsv

Needs about 4 GB of memory for the JSON source of 341,479 words, and a few minutes.
"""

import hashlib
import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import safetensors
import typer

from dragoman_models.embeddings.evaluation import (
    AnalogyItem,
    AnalogyScores,
    SimilarityJudgement,
    evaluate_analogies,
    evaluate_similarities,
    parse_analogies,
    parse_similarities,
)
from dragoman_models.embeddings.glove_card import glove_card
from dragoman_models.embeddings.glove_source import SourceVectors, read_glove
from dragoman_models.embeddings.quantization import VectorEncoding, decode, encode
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.errors import DragomanError, InvalidInputError
from dragoman_models.vocabulary import Vocabulary, VocabularyError

_DESCRIPTION = (
    "English word vectors: GloVe 6B (Wikipedia 2014 and Gigaword 5), the most frequent words."
)


@dataclass(frozen=True, kw_only=True)
class EvaluationSets:
    """What the vectors are measured on; any of it may be absent."""

    analogies: tuple[AnalogyItem, ...]
    similarities: dict[str, tuple[SimilarityJudgement, ...]]


@dataclass(frozen=True, kw_only=True)
class BuildOptions:
    """`words` is how many of the most frequent are kept; `origin` goes into the card."""

    words: int
    encoding: VectorEncoding
    origin: str
    command: str


def build(source_file: Path, out: Path, options: BuildOptions, sets: EvaluationSets) -> None:
    """Write the bundle `out` (NAME/VERSION); raises `DragomanError` with the reason."""
    source = read_glove(source_file)
    kept = replace(
        source,
        words=source.words[: options.words],
        matrix=source.matrix[: options.words].copy(),
    )
    shipped = replace(kept, matrix=decode(encode(kept.matrix, options.encoding)))
    metrics: dict[str, Any] = {
        "command": options.command,
        "shipped": measure(_vectors(shipped), sets),
        "kept_float32": measure(_vectors(kept), sets),
        "source_float32": measure(_vectors(source), sets),
    }
    source_sha256 = _sha256(source_file)
    facts = {
        "name": out.absolute().parent.name,
        "dimensions": source.matrix.shape[1],
        "words": f"{len(kept.words):,}",
        "source_words": f"{len(source.words):,}",
        "origin": options.origin,
        "source_sha256": source_sha256,
        "encoding": options.encoding.value,
        "source_limits": source.limits,
    }
    write_word_vectors(
        out,
        _vectors(kept),
        encoding=options.encoding,
        details=_details(options, source_sha256),
        metrics=metrics,
        card=glove_card(facts, metrics),
    )


def measure(vectors: WordVectors, sets: EvaluationSets) -> dict[str, Any]:
    """The figures of metrics.json for one set of vectors; shares are 0 to 1."""
    figures: dict[str, Any] = {"words": vectors.vocabulary_size}
    if sets.analogies:
        evaluation = evaluate_analogies(vectors, sets.analogies)
        sections = {name: _shares(scores) for name, scores in evaluation.sections.items()}
        figures["google_analogies"] = {**_shares(evaluation.total), "sections": sections}
    for name, judgements in sets.similarities.items():
        result = evaluate_similarities(vectors, judgements)
        figures[name] = {
            "items": result.pairs,
            "covered": result.covered,
            "spearman": round(result.spearman, 5),
        }
    return figures


def _shares(scores: AnalogyScores) -> dict[str, int | float]:
    return {
        "items": scores.questions,
        "covered": scores.covered,
        "coverage": round(scores.coverage, 5),
        "correct": scores.correct,
        "accuracy": round(scores.accuracy, 5),
    }


def _details(options: BuildOptions, source_sha256: str) -> dict[str, object]:
    return {
        "description": _DESCRIPTION,
        "license": "PDDL-1.0",
        "source_languages": ["en"],
        "source": {"origin": options.origin, "sha256": source_sha256},
        "libraries": {"numpy": np.__version__, "safetensors": safetensors.__version__},
    }


def _vectors(source: SourceVectors) -> WordVectors:
    try:
        return WordVectors(Vocabulary(source.words), source.matrix)
    except (ValueError, VocabularyError) as error:
        raise InvalidInputError.single("source", str(error)) from error


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_sets(analogies: Path | None, similarity: list[str]) -> EvaluationSets:
    similarities: dict[str, tuple[SimilarityJudgement, ...]] = {}
    for item in similarity:
        name, equals, file = item.partition("=")
        if not (name and equals and file):
            raise InvalidInputError.single("--similarity", f"is {item!r}; give NAME=FILE")
        text = Path(file).read_text(encoding="utf-8")
        similarities[name] = tuple(parse_similarities(text))
    questions = parse_analogies(analogies.read_text(encoding="utf-8")) if analogies else []
    return EvaluationSets(analogies=tuple(questions), similarities=similarities)


def _command(
    source: Path, out: Path, build_options: list[str], analogies: Path | None, similarity: list[str]
) -> str:
    """The command as another would type it: without this machine's folders."""
    words = ["--source", source.name, "--out", f"{out.absolute().parent.name}/{out.name}"]
    words += build_options
    if analogies is not None:
        words += ["--analogies", analogies.name]
    for item in similarity:
        name, _, file = item.partition("=")
        words += ["--similarity", f"{name}={Path(file).name}"]
    return shlex.join(["python", "-m", "dragoman_models.embeddings.build_glove_bundle", *words])


def main(
    source: Annotated[Path, typer.Option(help="GloVe text, or wink-nlp's JSON of vectors.")],
    out: Annotated[Path, typer.Option(help="The bundle's folder, NAME/VERSION; must not exist.")],
    origin: Annotated[str, typer.Option(help="Where the source came from, for the card.")],
    words: Annotated[
        int, typer.Option(min=1, help="Keep this many most frequent words.")
    ] = 100_000,
    encoding: Annotated[VectorEncoding, typer.Option()] = VectorEncoding.INT8_ROWS,
    analogies: Annotated[Path | None, typer.Option(help="questions-words.txt")] = None,
    similarity: Annotated[list[str] | None, typer.Option(help="NAME=FILE; repeatable.")] = None,
) -> None:
    """Make a word-vector bundle from published GloVe vectors."""
    chosen = ["--origin", origin, "--words", str(words), "--encoding", encoding.value]
    options = BuildOptions(
        words=words,
        encoding=encoding,
        origin=origin,
        command=_command(source, out, chosen, analogies, similarity or []),
    )
    try:
        build(source, out, options, _read_sets(analogies, similarity or []))
    except (DragomanError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


if __name__ == "__main__":
    typer.run(main)

"""Makes a bundle of trained word vectors, with its card and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np

from dragoman_models.embeddings.build_glove_bundle import EvaluationSets, measure
from dragoman_models.embeddings.quantization import VectorEncoding, decode, encode
from dragoman_models.embeddings.training.recipe import CorpusRecipe, GloveRecipe, Word2VecRecipe
from dragoman_models.embeddings.training.trained_vectors import TrainedVectors
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors

_NOT_STATED = "not stated by whoever trained it"

_CARD = """\
# {name}: word vectors by {method}, {dimensions} dimensions

The vectors of {words:,} words, for cosine similarity, nearest words and analogies, trained by
Dragoman. {lowercase}

## Data, licence and attribution

- Trained on: {data}
- Licence of the data: {license}
- Attribution: {attribution}
- {text_words:,} words of text, of which {known_words:,} are in the vocabulary: the words that stand
  at least {min_count} times.

## Method

{method_description}

Settings:

{settings}

## Measured

{loss_name} by epoch: {losses}.{loss_note}

{figures}

## Limits

- The vectors know the words of their text as it uses them: other times, regions and subjects are
  absent. One vector a word form: senses are not told apart. Rare words are placed badly.
- They carry the biases of their text, among them stereotypes of gender, origin and religion;
  nearest words and analogies repeat them. Do not base decisions about people on them.
- Cosine measures relatedness more than likeness of meaning: antonyms are often near.

## How this bundle was made

    {command}

With one thread, the same text, settings and library versions give the same vectors.
"""

_LOSS_NOTE = """
It is measured just before each step, when the steps before have fitted the vectors to the passage
at hand; as the learning rate falls they fit it less closely, so that it may rise."""

_METHODS = {
    "word2vec": (
        "word2vec (Tomas Mikolov, Ilya Sutskever, Kai Chen, Greg Corrado and Jeffrey Dean. 2013. "
        "Distributed\nRepresentations of Words and Phrases and their Compositionality. NIPS 2013), "
        "input vectors."
    ),
    "GloVe": (
        "GloVe (Jeffrey Pennington, Richard Socher and Christopher D. Manning. 2014. GloVe: Global "
        "Vectors\nfor Word Representation. EMNLP 2014), the sum of word and context vectors."
    ),
}


@dataclass(frozen=True, kw_only=True)
class BundleFacts:
    """What whoever trains has to say about a bundle; None is not stated."""

    command: str  # as another would type it
    data: str | None = None
    license: str | None = None
    attribution: str | None = None
    language: str | None = None  # BCP 47


def write_trained_vectors(
    folder: Path,
    trained: TrainedVectors,
    recipe: CorpusRecipe,
    *,
    facts: BundleFacts,
    encoding: VectorEncoding = VectorEncoding.FLOAT32,
    sets: EvaluationSets | None = None,
) -> None:
    """Writes the bundle `folder` (NAME/VERSION); raises `BundleError`.

    The figures are of the vectors as they are stored, in `encoding`.
    """
    method = "GloVe" if isinstance(recipe, GloveRecipe) else "word2vec"
    stored = WordVectors(
        trained.vectors.vocabulary, decode(encode(trained.vectors.index.matrix, encoding))
    )
    metrics: dict[str, Any] = {
        "command": facts.command,
        "mean_loss_by_epoch": [round(loss, 6) for loss in trained.mean_losses],
        "text_words": trained.words.text_words,
        "known_words": trained.words.known_words,
        "shipped": measure(stored, sets or EvaluationSets(analogies=(), similarities={})),
    }
    write_word_vectors(
        folder,
        trained.vectors,
        encoding=encoding,
        details=_details(method, recipe, facts),
        metrics=metrics,
        card=_card(folder, method, trained, recipe, facts, metrics),
    )


def settings_of(recipe: CorpusRecipe) -> dict[str, Any]:
    """The settings without this machine's folders and its rhythm of reports."""
    local = {"corpus", "continue_from", "checkpoint_seconds", "report_seconds", "megabytes"}
    settings = recipe.model_dump(mode="json", exclude=local, exclude_none=True)
    if isinstance(recipe, Word2VecRecipe):
        settings["learning_rate"] = recipe.first_rate
    return settings


def _details(method: str, recipe: CorpusRecipe, facts: BundleFacts) -> dict[str, object]:
    details: dict[str, object] = {
        "description": f"Word vectors by {method}, {recipe.dimensions} dimensions.",
        "hyperparameters": {"method": method, **settings_of(recipe)},
        "libraries": {"numba": numba.__version__, "numpy": np.__version__},
    }
    if facts.license:
        details["license"] = facts.license
    if facts.language:
        details["source_languages"] = [facts.language]
    return details


def _card(
    folder: Path,
    method: str,
    trained: TrainedVectors,
    recipe: CorpusRecipe,
    facts: BundleFacts,
    metrics: Mapping[str, Any],
) -> str:
    lowercase = ""
    if recipe.tokenization == "words":
        lowercase = (
            "The words are lowercase; Dragoman looks a word up\nas it is written and then, as a "
            "stated fallback, in lowercase."
        )
    weighted = "Mean loss of an entry of the co-occurrence matrix (half of its weighted square)"
    return _CARD.format(
        name=folder.absolute().parent.name,
        method=method,
        dimensions=recipe.dimensions,
        words=len(trained.words.words),
        lowercase=lowercase,
        data=facts.data or _NOT_STATED,
        license=facts.license or _NOT_STATED,
        attribution=facts.attribution or _NOT_STATED,
        text_words=trained.words.text_words,
        known_words=trained.words.known_words,
        min_count=recipe.min_count,
        method_description=_METHODS[method],
        settings="\n".join(f"- {name}: {value}" for name, value in settings_of(recipe).items()),
        loss_name=weighted if method == "GloVe" else "Mean loss of a prediction, in nats,",
        loss_note="" if method == "GloVe" else _LOSS_NOTE,
        losses=", ".join(f"{loss:.4f}" for loss in trained.mean_losses),
        figures=_figures(metrics["shipped"]),
        command=facts.command,
    )


def _figures(shipped: Mapping[str, Any]) -> str:
    rows = []
    for name, figures in shipped.items():
        if not isinstance(figures, Mapping):
            continue
        covered = f"{figures['covered']:,} of {figures['items']:,}"
        if "accuracy" in figures:
            value = f"{100 * figures['accuracy']:.2f} % right"
        else:
            value = f"rho {figures['spearman']:.4f}"
        rows.append(f"| {name} | {covered} | {value} |")
    if not rows:
        return "Similarity and analogies were not measured."
    return "\n".join(["| set | covered | figure |", "|---|---|---|", *rows])

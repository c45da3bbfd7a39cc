"""A gallery: labels with the vectors of their pictures, and who of them a new picture shows.

On disk it is a bundle of the family "word-vectors" (NAME/VERSION), so that a server's
EmbeddingService can answer for it by vector as well. The first picture of Ann is the word `Ann`,
the others are `Ann#2`, `Ann#3`; config.json has under `gallery` the model that made the vectors and
the distance within which it takes two pictures for the same. A bundle never changes: whoever enrols
more writes the next version.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dragoman_models.bundle import is_version, read_bundle
from dragoman_models.embeddings.cosine_index import CosineIndex, TopRows, unit_vector
from dragoman_models.embeddings.family import WORD_VECTORS, WordVectorsFamily
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.embeddings.word_vectors_bundle import write_word_vectors
from dragoman_models.errors import BundleError, InvalidInputError, quoted
from dragoman_models.vocabulary import Vocabulary

LONGEST_LABEL = 200
_FURTHER_PICTURE = re.compile(r"(.+)#([2-9]|[1-9][0-9]+)", re.DOTALL)
_CARD = """\
# {name}: a gallery of {labels} labels

{pictures} vectors of pictures, made by the image embedder `{model}` version {version}; two
pictures within a distance of {threshold:.4f} are taken for the same. The first picture of a label
is the word of that name, the others have `#2`, `#3` behind it.

## Data and limits

- The vectors come from the pictures that were enrolled here; whose those are, and who may use them
  for what, only the one who enrolled them knows. Vectors of people's pictures are biometric data.
- Vectors of another model, or of another version of it, cannot be compared with these.
"""


@dataclass(frozen=True, kw_only=True)
class EmbeddingModel:
    """Which model made a vector: its name and version as a server tells them, and the distance
    within which it takes two pictures for the same."""

    name: str
    version: int
    threshold: float


@dataclass(frozen=True, kw_only=True)
class GalleryMatch:
    """A label with its picture that is nearest to the query."""

    label: str
    distance: float  # Euclidean, of vectors of length 1: from 0 to 2
    pictures: int  # enrolled under this label
    within_threshold: bool


@dataclass(frozen=True, kw_only=True)
class Identification:
    """The labels nearest to a picture, the nearest first."""

    matches: tuple[GalleryMatch, ...]
    threshold: float

    @property
    def label(self) -> str | None:
        """Who it is, or None for unknown: where no picture is within the threshold."""
        nearest = self.matches[0] if self.matches else None
        return nearest.label if nearest is not None and nearest.within_threshold else None


class Gallery:
    """Labels with the vectors of their pictures, all made by one model."""

    def __init__(self, model: EmbeddingModel, *, threshold: float | None = None) -> None:
        """Without a `threshold`, the model's own is taken.

        Raises `InvalidInputError` where it is not from 0 to 2.
        """
        self.model = model
        self.threshold = model.threshold if threshold is None else threshold
        if not 0 <= self.threshold <= 2:
            raise InvalidInputError.single(
                "threshold", f"is {self.threshold}; distances of vectors of length 1 are 0 to 2"
            )
        self._labels: list[str] = []
        self._counts: dict[str, int] = {}  # pictures of each label
        self._vectors: list[NDArray[np.float32]] = []
        self._index: CosineIndex | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        """All labels, in the order in which each was first enrolled."""
        return tuple(self._counts)

    @property
    def size(self) -> int:
        """How many pictures are enrolled."""
        return len(self._labels)

    @property
    def dimensions(self) -> int | None:
        """Of the vectors; None while nobody is enrolled."""
        return len(self._vectors[0]) if self._vectors else None

    def enrol(self, label: str, vector: Sequence[float] | NDArray[Any]) -> None:
        """Adds a picture of `label` by its vector (D,); a label may have many.

        Raises `InvalidInputError` (label, vector): a blank label, one of over 200 characters, with
        a control character or with `#` and a number at its end; a vector of another length than the
        others', not finite, or all zeros.
        """
        _check_label(label)
        self._vectors.append(self._checked(vector).astype(np.float32))
        self._labels.append(label)
        self._counts[label] = self._counts.get(label, 0) + 1
        self._index = None

    def nearest(self, vector: Sequence[float] | NDArray[Any], k: int = 5) -> Identification:
        """The k labels (or all, if there are fewer) that have the nearest pictures.

        Exact, in float64. Raises `InvalidInputError` (k, vector), also for an empty gallery.
        """
        if k < 1:
            raise InvalidInputError.single("k", f"is {k}; give at least 1")
        if not self._labels:
            raise InvalidInputError.single("gallery", "is empty; enrol somebody first")
        query = self._checked(vector)
        wanted = min(k, len(self._counts))
        pictures = min(self.size, 4 * wanted)
        while len(found := self._nearest_of_each(self._search(query, pictures))) < wanted:
            pictures = min(self.size, 4 * pictures)  # many pictures of one label came first
        matches = [self._match(label, row, query) for label, row in list(found.items())[:wanted]]
        return Identification(matches=tuple(matches), threshold=self.threshold)

    def check_model(self, name: str, version: int) -> None:
        """Raises `InvalidInputError` (model) unless this model made the gallery's vectors."""
        if (name, version) != (self.model.name, self.model.version):
            raise InvalidInputError.single(
                "model",
                f"is {quoted(name)} version {version}, but the gallery holds vectors of "
                f"{quoted(self.model.name)} version {self.model.version}, which cannot be compared "
                "with its own; use that model, or enrol the pictures anew",
            )

    def save(self, folder: Path) -> None:
        """Writes the gallery as the bundle `folder`, NAME/VERSION.

        Raises `BundleError`: the folder exists or is not so named, the disk is full; and
        `InvalidInputError` for an empty gallery.
        """
        if not self._labels:
            raise InvalidInputError.single("gallery", "is empty; enrol somebody first")
        model = self.model
        details = {
            "description": f"A gallery of pictures, by {model.name} version {model.version}.",
            "gallery": {
                "model": model.name,
                "version": model.version,
                "model_threshold": model.threshold,
                "threshold": self.threshold,
            },
        }
        write_word_vectors(
            folder,
            WordVectors(Vocabulary(self._words()), np.stack(self._vectors)),
            encoding=VectorEncoding.FLOAT32,
            details=details,
            metrics={"labels": len(self._counts), "pictures": self.size},
            card=_CARD.format(
                name=folder.absolute().parent.name, labels=len(self._counts), pictures=self.size,
                model=model.name, version=model.version, threshold=self.threshold,
            ),
        )  # fmt: skip

    def save_next(self, folder: Path) -> Path:
        """Writes the gallery as the next version in `folder`, NAME; returns NAME/VERSION."""
        versions = _versions(folder)
        target = folder / str(versions[-1] + 1 if versions else 1)
        self.save(target)
        return target

    @classmethod
    def load(cls, folder: Path) -> Gallery:
        """The gallery in `folder`: NAME/VERSION, or NAME for its last version.

        Raises `BundleError`.
        """
        if not is_version(folder.absolute().name):
            versions = _versions(folder)
            if not versions:
                raise BundleError(folder, "holds no gallery yet; enrol somebody first")
            folder = folder / str(versions[-1])
        bundle = read_bundle(folder)
        if bundle.family != WORD_VECTORS or "gallery" not in bundle.config:
            raise BundleError(bundle.path, "is no gallery; `Gallery.save` writes them")
        gallery = cls._empty_of(bundle.config["gallery"], bundle.path)
        vectors = WordVectorsFamily().load(bundle)
        try:
            for word, vector in zip(vectors.vocabulary, vectors.index.matrix, strict=True):
                match = _FURTHER_PICTURE.fullmatch(word)
                gallery.enrol(match[1] if match else word, vector)
        except InvalidInputError as error:
            raise BundleError(bundle.path, f"is no gallery: {error}") from error
        return gallery

    @classmethod
    def _empty_of(cls, stated: object, path: Path) -> Gallery:
        match stated:
            case {
                "model": str(name),
                "version": int(version),
                "model_threshold": float() | int() as own,
                "threshold": float() | int() as threshold,
            }:
                model = EmbeddingModel(name=name, version=version, threshold=float(own))
            case _:
                raise BundleError(path, "config.json: gallery must name model, version, thresholds")
        try:
            return cls(model, threshold=float(threshold))
        except InvalidInputError as error:
            raise BundleError(path, f"config.json: gallery: {error}") from error

    def _words(self) -> list[str]:
        counts: dict[str, int] = {}
        words = []
        for label in self._labels:
            counts[label] = counts.get(label, 0) + 1
            words.append(label if counts[label] == 1 else f"{label}#{counts[label]}")
        return words

    def _checked(self, vector: Sequence[float] | NDArray[Any]) -> NDArray[np.float64]:
        """The vector at length 1."""
        values = np.asarray(vector, dtype=np.float64)
        expected = self.dimensions
        if values.ndim != 1 or not len(values) or (expected and len(values) != expected):
            wanted = f"{expected} numbers" if expected else "a row of numbers"
            raise InvalidInputError.single(
                "vector", f"is of shape {values.shape}; the gallery's vectors are {wanted}"
            )
        if not np.isfinite(values).all() or not values.any():
            raise InvalidInputError.single("vector", "must be finite and not all zeros")
        return unit_vector(values)

    def _search(self, query: NDArray[np.float64], count: int) -> TopRows:
        if self._index is None:
            self._index = CosineIndex(np.stack(self._vectors))
        return self._index.nearest(query[None], k=count)[0]

    def _nearest_of_each(self, rows: TopRows) -> dict[str, int]:
        """Of each label among the rows, its first."""
        found: dict[str, int] = {}
        for row in rows.indices.tolist():
            found.setdefault(self._labels[row], row)
        return found

    def _match(self, label: str, row: int, query: NDArray[np.float64]) -> GalleryMatch:
        # Not the root of 2 - 2 cos, which is coarse where two vectors are almost one.
        distance = float(np.linalg.norm(unit_vector(self._vectors[row]) - query))
        return GalleryMatch(
            label=label,
            distance=distance,
            pictures=self._counts[label],
            within_threshold=distance <= self.threshold,
        )


def _check_label(label: str) -> None:
    if not label.strip() or len(label) > LONGEST_LABEL:
        raise InvalidInputError.single(
            "label", f"has {len(label.strip()):,} characters; give 1 to {LONGEST_LABEL}"
        )
    if not label.isprintable() or label != label.strip():
        raise InvalidInputError.single(
            "label", f"{quoted(label)} has control characters, or space around it; leave them out"
        )
    if _FURTHER_PICTURE.fullmatch(label):
        raise InvalidInputError.single(
            "label", f"{quoted(label)} ends in # and a number, as further pictures do; rename it"
        )


def _versions(folder: Path) -> list[int]:
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if is_version(path.name))

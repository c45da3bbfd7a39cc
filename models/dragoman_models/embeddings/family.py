"""The family "word-vectors": its bundles on disk, read and written.

config.json names `family`, `encoding`, `vocabulary_size`, `dimensions` and `parameter_count`;
vocabulary.txt holds the words, most frequent first, and weights.safetensors the vectors in the
encoding.
"""

from collections.abc import Mapping
from pathlib import Path

from dragoman_models.bundle import WEIGHTS, Bundle, write_bundle
from dragoman_models.embeddings.quantization import (
    VectorEncoding,
    decode,
    encode,
    encoded_vectors,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import BundleError
from dragoman_models.vocabulary import Vocabulary, VocabularyError

WORD_VECTORS = "word-vectors"
VOCABULARY = "vocabulary.txt"


class WordVectorsFamily:
    """Loads word vectors; needs numpy alone."""

    name = WORD_VECTORS

    def load(self, bundle: Bundle) -> WordVectors:
        """The vectors in `bundle`, as float32; raises `BundleError` where the files do not fit."""
        encoding = _encoding(bundle)
        try:
            vocabulary = Vocabulary.from_bytes(bundle.file(VOCABULARY))
        except VocabularyError as error:
            raise BundleError(bundle.path, f"{VOCABULARY}: {error}") from error
        try:
            matrix = decode(encoded_vectors(bundle.numpy_tensors(), encoding))
            vectors = WordVectors(vocabulary, matrix)
        except ValueError as error:
            raise BundleError(bundle.path, f"{WEIGHTS}: {error}") from error
        for key, found in _sizes(vectors).items():
            if bundle.config.get(key) != found:
                raise BundleError(
                    bundle.path,
                    f"config.json says {key} {bundle.config.get(key)!r}; the files have {found}",
                )
        return vectors


def write_word_vectors(
    folder: Path,
    vectors: WordVectors,
    *,
    encoding: VectorEncoding,
    details: Mapping[str, object],
    metrics: Mapping[str, object],
    card: str,
) -> None:
    """Write `vectors` as the bundle `folder` (NAME/VERSION); raises `BundleError`.

    `details` is added to config.json: where the vectors came from, versions of the libraries.
    """
    write_bundle(
        folder,
        config={
            "family": WORD_VECTORS,
            "encoding": encoding.value,
            **_sizes(vectors),
            "parameter_count": vectors.vocabulary_size * vectors.dimensions,
            **details,
        },
        tensors=encode(vectors.index.matrix, encoding).tensors(),
        files={VOCABULARY: vectors.vocabulary.to_bytes()},
        metrics=metrics,
        card=card,
    )


def _sizes(vectors: WordVectors) -> dict[str, int]:
    return {"vocabulary_size": vectors.vocabulary_size, "dimensions": vectors.dimensions}


def _encoding(bundle: Bundle) -> VectorEncoding:
    value = bundle.config.get("encoding")
    try:
        return VectorEncoding(value)
    except ValueError as error:
        known = ", ".join(encoding.value for encoding in VectorEncoding)
        raise BundleError(
            bundle.path, f"config.json: encoding is {value!r}; known are: {known}"
        ) from error

"""Bundles of word vectors on disk, read and written.

config.json names `family`, `encoding`, `vocabulary_size`, `dimensions` and `parameter_count`;
vocabulary.txt holds the words, most frequent first, and weights.safetensors the vectors in the
encoding. Where the model knows subwords, their table is `subword_vectors`, in the same encoding,
and config.json says under `subwords` how words are cut. Where there is an index for approximate
search, it is nearest.faiss, and config.json has its options under `approximate_index`.
"""

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dragoman_models.bundle import WEIGHTS, Bundle, write_bundle
from dragoman_models.embeddings.approximate_index import (
    ApproximateIndex,
    ApproximateOptions,
    IndexKind,
)
from dragoman_models.embeddings.family import WORD_VECTORS
from dragoman_models.embeddings.quantization import (
    EncodedVectors,
    VectorEncoding,
    decode,
    encode,
    encoded_vectors,
)
from dragoman_models.embeddings.subwords import SubwordVectors
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import BundleError
from dragoman_models.vocabulary import Vocabulary, VocabularyError

VOCABULARY = "vocabulary.txt"
APPROXIMATE_INDEX = "nearest.faiss"
_SUBWORD = "subword_"  # before the names of the table's tensors


def read_word_vectors(bundle: Bundle) -> WordVectors:
    """The vectors in `bundle`, in float32, mapped from the file where that is how they are stored;
    raises `BundleError` where the files do not fit."""
    encoding = _encoding(bundle)
    try:
        vocabulary = Vocabulary.from_bytes(bundle.file(VOCABULARY))
    except VocabularyError as error:
        raise BundleError(bundle.path, f"{VOCABULARY}: {error}") from error
    tensors = bundle.mapped_tensors()
    table = {
        name.removeprefix(_SUBWORD): tensors.pop(name)
        for name in sorted(tensors)
        if name.startswith(_SUBWORD)
    }
    try:
        matrix = decode(encoded_vectors(tensors, encoding))
        subwords = _subwords(bundle, encoded_vectors(table, encoding)) if table else None
        vectors = WordVectors(vocabulary, matrix, subwords=subwords)
    except ValueError as error:
        raise BundleError(bundle.path, f"{WEIGHTS}: {error}") from error
    _check_sizes(bundle, vectors)
    vectors.approximate = _approximate_index(bundle, vectors)
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
    """Write `vectors` as the bundle `folder` (NAME/VERSION), with their subwords and index where
    they have them; raises `BundleError`.

    `details` is added to config.json: where the vectors came from, versions of the libraries.
    """
    config: dict[str, object] = {
        "family": WORD_VECTORS,
        "encoding": encoding.value,
        **_sizes(vectors),
        "parameter_count": vectors.vocabulary_size * vectors.dimensions,
        **details,
    }
    tensors = encode(vectors.index.matrix, encoding).tensors()
    files = {VOCABULARY: vectors.vocabulary.to_bytes()}
    if vectors.subwords is not None:
        config["subwords"] = {
            "shortest": vectors.subwords.shortest,
            "longest": vectors.subwords.longest,
        }
        tensors |= _subword_tensors(vectors.subwords, encoding)
    if vectors.approximate is not None:
        options = asdict(vectors.approximate.options)
        config["approximate_index"] = {**options, "kind": vectors.approximate.options.kind.value}
        files[APPROXIMATE_INDEX] = vectors.approximate.to_bytes()
    write_bundle(folder, config=config, tensors=tensors, files=files, metrics=metrics, card=card)


def _subword_tensors(subwords: SubwordVectors, encoding: VectorEncoding) -> dict[str, NDArray[Any]]:
    table = EncodedVectors(codes=subwords.codes, scales=subwords.scales)
    encoded = encode(decode(table), encoding)
    return {_SUBWORD + name: tensor for name, tensor in encoded.tensors().items()}


def _subwords(bundle: Bundle, table: EncodedVectors) -> SubwordVectors:
    stated = bundle.config.get("subwords")
    lengths = (stated.get("shortest"), stated.get("longest")) if isinstance(stated, dict) else ()
    match lengths:
        case (int(shortest), int(longest)) if 1 <= shortest <= longest and len(table.codes):
            return SubwordVectors(
                shortest=shortest, longest=longest, codes=table.codes, scales=table.scales
            )
    raise BundleError(bundle.path, f"config.json: subwords is {stated!r}, without good lengths")


def _approximate_index(bundle: Bundle, vectors: WordVectors) -> ApproximateIndex | None:
    """The bundle's index, or None where it has none or faiss is not installed to read it."""
    stated = bundle.config.get("approximate_index")
    if stated is None:
        return None
    try:
        options = ApproximateOptions(**{**stated, "kind": IndexKind(stated["kind"])})
    except (TypeError, KeyError, ValueError) as error:
        raise BundleError(
            bundle.path, f"config.json: approximate_index is {stated!r}: {error}"
        ) from error
    data = bundle.file(APPROXIMATE_INDEX)
    try:
        return ApproximateIndex.from_bytes(
            data, options, size=vectors.vocabulary_size, dimensions=vectors.dimensions
        )
    except ModuleNotFoundError:
        return None
    except ValueError as error:
        raise BundleError(bundle.path, f"{APPROXIMATE_INDEX}: {error}") from error


def _check_sizes(bundle: Bundle, vectors: WordVectors) -> None:
    for key, found in _sizes(vectors).items():
        if bundle.config.get(key) != found:
            raise BundleError(
                bundle.path,
                f"config.json says {key} {bundle.config.get(key)!r}; the files have {found}",
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

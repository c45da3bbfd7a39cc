"""From a file to a bundle that answers, and back; the index is measured as it is built."""

import json
from pathlib import Path

import numpy as np
import pytest
from tests.models.embeddings.formats.test_binary_formats import FASTTEXT_MODEL, FASTTEXT_VECTORS

from dragoman_models.bundle import read_bundle, write_bundle
from dragoman_models.embeddings.approximate_index import ApproximateOptions, IndexKind
from dragoman_models.embeddings.formats.vector_file import read_vectors
from dragoman_models.embeddings.formats.vector_writer import ExportFormat
from dragoman_models.embeddings.import_vectors import (
    ImportOptions,
    export_vectors,
    import_vectors,
    load_word_vectors,
)
from dragoman_models.embeddings.quantization import VectorEncoding
from dragoman_models.embeddings.word_lookup import WordMatch
from dragoman_models.embeddings.word_queries import EmbeddedWord
from dragoman_models.errors import BundleError, InvalidInputError


def text_file(folder: Path, rows: int = 300) -> Path:
    matrix = np.random.default_rng(1).standard_normal((rows, 6)).astype(np.float32)
    path = folder / "vectors.txt"
    lines = [f"w{i} {' '.join(map(repr, row.tolist()))}\n" for i, row in enumerate(matrix)]
    path.write_text("".join(lines))
    return path


@pytest.mark.parametrize("export_format", ExportFormat)
def test_vectors_go_through_a_bundle_unchanged(tmp_path: Path, export_format: ExportFormat) -> None:
    source = text_file(tmp_path)
    options = ImportOptions(origin="made for a test", license="CC0-1.0", languages=("en",))
    report = import_vectors(source, tmp_path / "made" / "1", options)
    assert (len(report.imported.words), report.recall) == (300, None)
    bundle = read_bundle(tmp_path / "made" / "1")
    assert bundle.config["license"] == "CC0-1.0"
    assert "made for a test" in bundle.card
    assert str(tmp_path) not in bundle.card + json.dumps(dict(bundle.config))
    out = tmp_path / "again"
    assert export_vectors(bundle.path, out, export_format) == 300
    first, second = read_vectors(source), read_vectors(out)
    assert first.words == second.words
    np.testing.assert_array_equal(first.matrix, second.matrix)


@pytest.mark.parametrize("kind", IndexKind)
def test_an_index_is_built_measured_and_loaded(tmp_path: Path, kind: IndexKind) -> None:
    out = tmp_path / "made" / "1"
    options = ImportOptions(index=ApproximateOptions(kind=kind), encoding=VectorEncoding.INT8_ROWS)
    report = import_vectors(text_file(tmp_path), out, options)
    assert report.recall is not None
    assert report.recall > 0.99
    assert f"recall@10 {report.recall:.4f}" in read_bundle(out).card
    approximate = load_word_vectors(out).approximate
    assert approximate is not None
    assert approximate.options == options.index


@pytest.mark.parametrize("encoding", VectorEncoding)
def test_subwords_go_through_a_bundle(tmp_path: Path, encoding: VectorEncoding) -> None:
    source = tmp_path / "model.bin"
    source.write_bytes(FASTTEXT_MODEL)
    import_vectors(source, tmp_path / "made" / "1", ImportOptions(encoding=encoding))
    model = load_word_vectors(tmp_path / "made" / "1")
    rounding = {"int8-rows": 1e-2, "int16-rows": 1e-4, "float32": 1e-6}[encoding.value]
    for word, vector in FASTTEXT_VECTORS.items():
        (found,) = model.embed([word])
        assert isinstance(found, EmbeddedWord)
        known = word in model.vocabulary
        assert (found.word.match is WordMatch.EXACT) == known
        assert (found.word.rank > 0) == known
        np.testing.assert_allclose(found.vector, vector, atol=rounding * 0.04)


def test_wrong_sources_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    source = tmp_path / "v.txt"
    source.write_text("a 1 2\nb 1e30 2\n")
    with pytest.raises(InvalidInputError, match=r"row 1 holds a value .* length outside"):
        import_vectors(source, tmp_path / "made" / "1", ImportOptions())
    assert not (tmp_path / "made").exists()
    write_bundle(
        tmp_path / "other" / "1",
        config={"family": "unheard-of"}, tensors={}, files={}, metrics={}, card="x",
    )  # fmt: skip
    with pytest.raises(BundleError, match="no model family is named"):
        load_word_vectors(tmp_path / "other" / "1")

"""Maps keep the distances that they promise, and drawings are files of the format named."""

from pathlib import Path

import numpy as np
import pytest

from dragoman_models.drawing_fonts import fonts_for, missing_letters
from dragoman_models.embeddings.word_drawing import draw_heat_map, draw_map
from dragoman_models.embeddings.word_map import (
    MapOptions,
    Projection,
    WordMap,
    cosine_matrix,
    map_words,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import InvalidInputError
from dragoman_models.vocabulary import Vocabulary

WORDS = ["naïve", "$x_1$", "<b>", "a&b", "five", "six"]


def plane() -> WordVectors:
    """Words whose unit vectors lie in a plane of five dimensions."""
    rng = np.random.default_rng(1)
    basis, _ = np.linalg.qr(rng.standard_normal((5, 2)))
    angles = rng.random(6) * 6
    matrix = np.stack([np.cos(angles), np.sin(angles)], axis=1) @ basis.T
    return WordVectors(Vocabulary(WORDS), matrix.astype(np.float32))


def test_a_map_of_vectors_in_a_plane_keeps_all_distances() -> None:
    vectors = plane()
    found = map_words(vectors, ["naïve", "$x_1$"], MapOptions(neighbors=5))
    assert found.asked_count == 2
    assert sorted(found.words) == sorted(WORDS)
    units = np.stack([vectors.index.unit_rows(np.array([WORDS.index(w)]))[0] for w in found.words])
    expected = np.linalg.norm(units[:, None] - units, axis=2)
    got = np.linalg.norm(found.places[:, None] - found.places, axis=2)
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_tsne_is_repeatable() -> None:
    options = MapOptions(projection=Projection.TSNE, neighbors=0, seed=3)
    first, second = (map_words(plane(), WORDS, options) for _ in range(2))
    np.testing.assert_array_equal(first.places, second.places)
    assert np.isfinite(first.places).all()


def test_cosines_are_those_of_the_vectors() -> None:
    cosines = cosine_matrix(plane(), WORDS)
    rows = plane().index.matrix.astype(np.float64)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(cosines, rows @ rows.T, atol=1e-6)


def test_unknown_words_and_too_few_are_named() -> None:
    with pytest.raises(InvalidInputError) as caught:
        map_words(plane(), ["five", "qwxz", "", "six"], MapOptions())
    assert [violation.field for violation in caught.value.violations] == ["words[1]", "words[2]"]
    with pytest.raises(InvalidInputError, match="a map needs 3"):
        map_words(plane(), ["five", "five"], MapOptions(neighbors=0))


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("m.png", b"\x89PNG"),
        ("m.svg", b"<?xml"),
        ("m.HTML", b"<!DOCTYPE html>"),
        ("m.pdf", b"%PDF"),
    ],
)
def test_a_drawing_is_a_file_of_the_format_named(tmp_path: Path, name: str, start: bytes) -> None:
    out = tmp_path / name
    draw_map(WordMap(words=tuple(WORDS[:3]), places=np.eye(3, 2), asked_count=1), out)
    assert out.read_bytes().startswith(start)
    draw_heat_map(WORDS, cosine_matrix(plane(), WORDS), out)
    data = out.read_bytes()
    assert data.startswith(start)
    if b"<svg" in data:
        for text in ("naïve", "$x_1$", "&lt;b&gt;", "a&amp;b"):
            assert text in data.decode()


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"must end in \.png, \.svg, \.pdf, \.html"):
        draw_heat_map(WORDS, np.eye(6), tmp_path / "m.docx")
    assert not list(tmp_path.iterdir())


def test_fonts_have_the_letters_that_are_not_missing() -> None:
    assert missing_letters(["naïve", "Ω", "a b"]) == ""
    # U+13000 is a hieroglyph, which the fonts that matplotlib brings lack.
    with fonts_for(["a", "\U00013000"]):
        import matplotlib

        families = matplotlib.rcParams["font.family"]
    assert families[0] == "DejaVu Sans"
    assert (missing_letters(["\U00013000"]) == "\U00013000") == (len(families) == 1)

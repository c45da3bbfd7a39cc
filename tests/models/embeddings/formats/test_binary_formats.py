"""Binary vectors: word2vec's, and fastText's with a model that fastText itself trained."""

import base64
import gzip
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.embeddings.formats import word2vec_binary
from dragoman_models.embeddings.formats.imported import DuplicateWords, ReadOptions
from dragoman_models.embeddings.formats.vector_file import VectorFormat, read_vectors
from dragoman_models.embeddings.formats.vector_writer import ExportFormat, write_vectors
from dragoman_models.embeddings.subwords import ngrams
from dragoman_models.errors import InvalidInputError

# fasttext 0.9.2, train_unsupervised(model="skipgram", dim=3, bucket=13, minn=2, maxn=4, minCount=1,
# ws=2, neg=2) on 60 lines of eight words, packed; and what its get_word_vector then said.
FASTTEXT_MODEL = zlib.decompress(base64.b85decode(
    "c-q?~=C9Agz`(!^#7scU3dD?1HjD;gUMS51#3?|m>n!v7k(rb|Cy))oAi%>6q5ng{v*}Bp%~`{c4wYuePh*IKu?t"
    "I6Q}Y;NVcg`zw8JYIVqo07#KY^$QW>IQ{OruUbcS#kuYw^M#w^K5W$=Y@Z1jum7;IoX1~DiNbrr+S6}|gTt!uUWd"
    "M|k2W7qDz|LoQ5G#{zhUg_Moqx{A?3mJ*YJ069J?KqJWX;J2+x&0>ltL-_=SIvt(w{3s6*mj4tnYYFH`R}%$sa?A"
    "LL0tbfx1VA=PP5)LpCHz>efNUr<_t(c^3k-N4=40mE-^^n>0d0k^WbC^OS$XIb~OK(vs1xsqvg$YCOeVM(LScPOY"
    "*gbl^nyroqWOkJ5|i2EI;UM-jQ{cedpFj8OvqUr|nSR)xPs;Lx*Kiy!Fll_vY<**?->R&?2TC2jg1Jm#u9yTRZQY"
    "IXiFF&dgJ}mTP@2cXk=G@A8_=YE>h-e`lQjfgREo*DVBQCG3F57c5}TJU6uBI<LOVRF>6>!T<DDhBNm}85WmqUF_"
    "{{mAl$<SCWgk72mH3y9!RaS$U}R@7lai*J@4ThMn{6JggktH(Bkx#k89(XqTmp^J^<LuY0==tzB<*#XfUa_ghn|1"
    "$P5?t>nLMDzS)l+X@daQvjZ0(JB"
))  # fmt: skip
FASTTEXT_VECTORS: dict[str, list[float]] = {
    "日本": [-0.0398696773, 0.0376344845, -0.0298060812],
    "of": [-0.00991393812, 0.0233946908, 0.00561438967],
    "queen": [-0.000405096507, 0.000401001045, -0.00028557016],
    "café": [-0.000292429002, 0.00030078087, -0.000195651883],
    "naïve": [-0.000223103343, 0.000231090191, -0.000147770363],
    "king": [-0.000310031377, 0.000309658848, -0.000215991735],
    "x": [-0.000141427547, 0.000122061218, -0.000116343566],
    "the": [-9.17739744e-05, 0.000107124426, -4.95892709e-05],
    "</s>": [0, 0, 0],
    "kings": [-0.000299912615, 0.000301929715, -0.000206735931],
    "Ünknown": [-0.000225842508, 0.000231046783, -0.000152257882],
    "ñ": [-0.000190428618, 0.000204001175, -0.000119859549],
    "a": [-0.000288757379, 0.000290844444, -0.000198911803],
}
WORDS = ["the", "naïve", "日本"]
MATRIX = np.array([[1, -2.5], [1e-30, 3e30], [0, 10]], dtype=np.float32)


def word2vec(feed: bytes = b"\n") -> bytes:
    entries = (
        w.encode() + b" " + row.astype("<f4").tobytes() + feed
        for w, row in zip(WORDS, MATRIX, strict=True)
    )
    return b"3 2\n" + b"".join(entries)


def refusal(folder: Path, data: bytes, options: ReadOptions | None = None) -> str:
    path = folder / "vectors.bin"
    path.write_bytes(data)
    with pytest.raises(InvalidInputError) as caught:
        read_vectors(path, options, file_format=VectorFormat.WORD2VEC_BINARY)
    return str(caught.value)


@pytest.mark.parametrize("feed", [b"\n", b""])
@pytest.mark.parametrize("block", [1, 5, 1 << 20])
@pytest.mark.parametrize("packed", [False, True])
def test_word2vec_binary_is_read(tmp_path: Path, feed: bytes, block: int, packed: bool) -> None:
    path = tmp_path / "vectors.bin"
    data = word2vec(feed)
    path.write_bytes(gzip.compress(data) if packed else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word2vec_binary, "_BLOCK_BYTES", max(block, 4))
        found = read_vectors(path)
        first = read_vectors(path, ReadOptions(words=2))
    assert found.words == tuple(WORDS)
    np.testing.assert_array_equal(found.matrix, MATRIX)
    assert first.words == tuple(WORDS[:2])
    np.testing.assert_array_equal(first.matrix, MATRIX[:2])


def test_a_wrong_word2vec_file_is_named_by_its_entry(tmp_path: Path) -> None:
    whole = word2vec()
    assert "cut short: the header promises 3 words, and 2 are whole" in refusal(
        tmp_path, whole[:-2]
    )
    assert "entry 3: is cut short" in refusal(tmp_path, whole[:-2])
    assert "goes on after the 3 words" in refusal(tmp_path, whole + b"more")
    assert "entry 2: holds a number that is not finite" in refusal(
        tmp_path, whole.replace(MATRIX[1].tobytes(), np.array([np.nan, 1], "<f4").tobytes())
    )
    assert "entry 2: the word" in refusal(tmp_path, whole.replace("ï".encode(), b"\xff\xff"))
    assert 'does not begin with a line "V D"' in refusal(tmp_path, b"the 1 2\n")
    assert 'does not begin with a line "V D"' in refusal(tmp_path, b"")
    doubled = b"2 1\na " + b"\1\0\0\0\na " + b"\2\0\0\0\n"
    assert "entry 2: repeats the word 'a' of entry 1" in refusal(
        tmp_path, doubled, ReadOptions(duplicates=DuplicateWords.REFUSE)
    )
    assert "entry 2: has a word of more than 4,096 bytes" in refusal(
        tmp_path, b"9 1\na " + b"\1\0\0\0" + b"x" * 5000
    )


def test_a_fasttext_model_gives_the_vectors_that_fasttext_gives(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    for data in (FASTTEXT_MODEL, gzip.compress(FASTTEXT_MODEL)):
        path.write_bytes(data)
        found = read_vectors(path)
        assert found.subwords is not None
        assert len(found.words) == 9
        for word, vector in FASTTEXT_VECTORS.items():
            got = (
                found.matrix[found.words.index(word)]
                if word in found.words
                else found.subwords.vector(word)
            )
            assert got is not None
            np.testing.assert_allclose(got, vector, rtol=3e-6, atol=1e-11)
        assert read_vectors(path, ReadOptions(words=2)).words == found.words[:2]


def test_ngrams_are_those_that_fasttext_lists() -> None:
    """What fasttext 0.9.2's get_subwords("naïve") lists after the word itself."""
    listed = "<n <na <naï na naï naïv aï aïv aïve ïv ïve ïve> ve ve> e>"
    assert " ".join(ngrams("naïve", 2, 4)) == listed
    assert ngrams("a", 1, 1) == ["a"]
    assert ngrams("", 3, 6) == []


@pytest.mark.parametrize("kept", [*range(0, 624, 13), 623])
def test_a_fasttext_model_that_is_cut_short_says_so(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(FASTTEXT_MODEL[:kept])
    with pytest.raises(InvalidInputError, match="is cut short in"):
        read_vectors(path, file_format=VectorFormat.FASTTEXT_BINARY)


def test_a_quantized_or_foreign_fasttext_model_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    header = bytearray(FASTTEXT_MODEL)
    header[4:8] = struct.pack("<i", 99)
    path.write_bytes(bytes(header))
    with pytest.raises(InvalidInputError, match="has fastText version 99"):
        read_vectors(path)
    quantized = FASTTEXT_MODEL.replace(
        b"\0" + struct.pack("<2q", 22, 3), b"\1" + struct.pack("<2q", 22, 3), 1
    )
    path.write_bytes(quantized)
    with pytest.raises(InvalidInputError, match="holds quantized vectors"):
        read_vectors(path)


@pytest.mark.parametrize("export_format", ExportFormat)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_written_is_read_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, export_format: ExportFormat, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bits = rng.integers(0, 1 << 32, (20, 5), dtype=np.uint32)
    matrix = bits.view(np.float32)
    matrix[~np.isfinite(matrix)] = 1.5
    words = [f"w{i}" for i in range(20)]
    path = tmp_path_factory.mktemp("export") / "vectors"
    write_vectors(path, words, matrix, export_format)
    found = read_vectors(path)
    assert found.words == tuple(words)
    np.testing.assert_array_equal(found.matrix, matrix)


def test_what_a_format_cannot_say_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    with pytest.raises(InvalidInputError, match="word 2: 'new york' holds white space"):
        write_vectors(path, ["a", "new york"], np.ones((2, 1), np.float32), ExportFormat.GLOVE_TEXT)
    path.write_text("mine")
    with pytest.raises(InvalidInputError, match="already exists"):
        write_vectors(path, ["a"], np.ones((1, 1), np.float32), ExportFormat.GLOVE_TEXT)
    with pytest.raises(InvalidInputError, match="cannot be written"):
        write_vectors(
            tmp_path / "none" / "v", ["a"], np.ones((1, 1), np.float32), ExportFormat.GLOVE_TEXT
        )
    assert [p.name for p in tmp_path.iterdir()] == ["v.txt"]

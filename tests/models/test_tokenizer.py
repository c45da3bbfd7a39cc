"""Every text has pieces, and they give back its normalized form."""

import io
import random
import unicodedata

import pytest
import sentencepiece
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.errors import TrainingError
from dragoman_models.tokenizer import (
    BOS,
    EOS,
    PAD,
    UNK,
    SubwordModel,
    SubwordTokenizer,
    train_tokenizer,
)

TEXT = [
    "Tom aime le thé, Marie préfère le café.",
    "Tom likes tea, Mary prefers coffee.",
    "L'autre train part à 10 h 30 demain matin.",
    "The other train leaves at 10:30 tomorrow morning.",
    "1913 1913 1913 1913 1913",
] * 3
SEPARATOR = "\u2581"  # how sentencepiece writes a blank


@pytest.fixture(scope="module")
def tokenizer() -> SubwordTokenizer:
    return train_tokenizer(TEXT, vocabulary_size=315)


@pytest.fixture(scope="module")
def normalizer() -> sentencepiece.SentencePieceNormalizer:
    """sentencepiece's own normalization, without a model."""
    return sentencepiece.SentencePieceNormalizer(
        rule_name="nmt_nfkc",
        add_dummy_prefix=False,
        escape_whitespaces=False,
        remove_extra_whitespaces=True,
    )


def normalized(normalizer: sentencepiece.SentencePieceNormalizer, text: str) -> str:
    replacements = {"\u2019": "'", "\u02bc": "'", "\0": " ", SEPARATOR: " "}
    return str(normalizer.normalize("".join(replacements.get(c, c) for c in text))).strip(" ")


SAMPLES = [
    "Tom aime le thé.",
    "🙂👩‍👩‍👧‍👦🇫🇷",
    "שלום עולם مرحبا بالعالم",
    "東京タワー、한국어",
    "nul\0 and \x07 bell",
    "l\u2019autre \u02bctis",
    "</s> <pad> <s> <unk> <0x41>",
    "ﬁne ½ Ⅷ \uff46\uff55\uff4c\uff4c",
    "a" * 5000,
    "  two   blanks\t\n tab ",
    "",
    "\u200b\u200e\ufeff",
]


@pytest.mark.parametrize("text", SAMPLES)
def test_samples_of_all_scripts_survive(
    tokenizer: SubwordTokenizer, normalizer: sentencepiece.SentencePieceNormalizer, text: str
) -> None:
    check_round_trip(tokenizer, normalizer, text)


@given(text=st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_survives(
    tokenizer: SubwordTokenizer, normalizer: sentencepiece.SentencePieceNormalizer, text: str
) -> None:
    check_round_trip(tokenizer, normalizer, text)


def check_round_trip(
    tokenizer: SubwordTokenizer, normalizer: sentencepiece.SentencePieceNormalizer, text: str
) -> None:
    for ids in (tokenizer.encode(text), tokenizer.sample(text, random.Random(2), alpha=0.2)):
        assert not {PAD, UNK, BOS, EOS} & set(ids)
        assert tokenizer.decode(ids) == normalized(normalizer, text)


@given(text=st.text(st.characters(categories=["Cs", "Lu"])))
def test_a_lone_surrogate_is_read_as_a_question_mark(
    tokenizer: SubwordTokenizer, text: str
) -> None:
    """It isn't text, so that UTF-8 cannot write it, but no reason to fail."""
    plain = "".join("?" if unicodedata.category(c) == "Cs" else c for c in text)
    ids = tokenizer.encode(text)
    assert ids == tokenizer.encode(plain)
    assert UNK not in ids


def test_normalization_is_that_of_nmt_nfkc(tokenizer: SubwordTokenizer) -> None:
    """A few known cases, for the reference above is sentencepiece's own."""
    for text, expected in {
        "cafe\u0301": "café",  # composed
        "ﬁne \uff46\uff55\uff4c\uff4c": "fine full",
        "nul\0 bell\x07": "nul bell",
        " two \u3000\t blanks\n": "two blanks",
        "l\u2019autre": "l'autre",
    }.items():
        assert tokenizer.decode(tokenizer.encode(text)) == expected


@given(digits=st.just("1913") | st.text("0139", min_size=1, max_size=12))  # of the text above
def test_every_digit_is_a_piece_of_its_own(tokenizer: SubwordTokenizer, digits: str) -> None:
    pieces = tokenizer.pieces(tokenizer.encode(digits))
    assert [piece for piece in pieces if set(piece) & set("0139")] == list(digits)


@given(text=st.sampled_from(TEXT), seed=st.integers(0, 2**31 - 1))
def test_sampling_repeats_after_its_seed(tokenizer: SubwordTokenizer, text: str, seed: int) -> None:
    drawn = []
    for _ in range(2):
        chance = random.Random(seed)
        drawn.append([tokenizer.sample(text, chance, alpha=0.1) for _ in range(4)])
    assert drawn[0] == drawn[1]


def test_sampling_draws_different_segmentations_of_the_same_text(
    tokenizer: SubwordTokenizer,
) -> None:
    chance = random.Random(1)
    drawn = {tuple(tokenizer.sample(TEXT[0], chance, alpha=0.1)) for _ in range(20)}
    assert len(drawn) > 1
    assert {tokenizer.decode(ids) for ids in drawn} == {TEXT[0]}


def test_special_pieces_leave_no_trace(tokenizer: SubwordTokenizer) -> None:
    assert tokenizer.decode([BOS, *tokenizer.encode("Tom"), EOS, PAD, PAD]) == "Tom"
    assert tokenizer.pieces([PAD, BOS, EOS]) == ("<pad>", "<s>", "</s>")


def test_pieces_name_what_was_encoded(tokenizer: SubwordTokenizer) -> None:
    pieces = tokenizer.pieces(tokenizer.encode(TEXT[1]))
    assert "".join(pieces).replace(SEPARATOR, " ").strip() == TEXT[1]


def test_a_tokenizer_is_the_bytes_of_its_model(tokenizer: SubwordTokenizer) -> None:
    copy = SubwordTokenizer(tokenizer.model_bytes)
    assert copy.vocabulary_size == tokenizer.vocabulary_size == 315
    assert copy.encode(TEXT[2]) == tokenizer.encode(TEXT[2])
    assert train_tokenizer(TEXT, vocabulary_size=315).model_bytes == tokenizer.model_bytes


@pytest.mark.parametrize(
    ("text", "size", "reason"),
    [
        (TEXT, 5000, "Lower vocabulary_size or give more text"),
        ([], 300, "Lower vocabulary_size or give more text"),
        (["", "\0"], 300, "Lower vocabulary_size or give more text"),
        (TEXT, 200, "Raise vocabulary_size"),
        (["".join(map(chr, range(0x4E00, 0x5000)))], 300, "Raise vocabulary_size"),
    ],
)
def test_text_that_cannot_fill_the_vocabulary(text: list[str], size: int, reason: str) -> None:
    with pytest.raises(TrainingError, match=f"cannot learn {size} pieces .*{reason}"):
        train_tokenizer(text, vocabulary_size=size)


def test_what_is_no_tokenizer_is_refused(tokenizer: SubwordTokenizer) -> None:
    junk = random.Random(1).randbytes(500)
    for model in (b"", b"junk", junk, tokenizer.model_bytes[:-20]):
        with pytest.raises(RuntimeError):
            SubwordTokenizer(model)
    with pytest.raises(RuntimeError, match="pad, unk, bos and eos must be pieces 0 to 3, but are"):
        SubwordTokenizer(other_special_ids())


def other_special_ids() -> bytes:
    """A tokenizer as sentencepiece makes them by default: without pad, unk at 0."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXT), model_writer=model, vocab_size=60, minloglevel=2
    )
    return model.getvalue()


# --- byte-pair encoding and BPE-dropout ---


@pytest.fixture(scope="module")
def bpe() -> SubwordTokenizer:
    return train_tokenizer(TEXT, vocabulary_size=330, model_type="bpe")


@pytest.mark.parametrize("text", SAMPLES)
def test_byte_pairs_survive_too(
    bpe: SubwordTokenizer, normalizer: sentencepiece.SentencePieceNormalizer, text: str
) -> None:
    check_round_trip(bpe, normalizer, text)


def test_without_dropout_all_merges_are_made(bpe: SubwordTokenizer) -> None:
    for text in TEXT:
        assert bpe.sample(text, random.Random(1), alpha=0.0) == bpe.encode(text)


def test_with_all_merges_left_out_characters_remain(bpe: SubwordTokenizer) -> None:
    """Provilkov et al. 2020, section 3.2: p = 1 segments a word into its characters."""
    text = "Tom likes tea"
    pieces = bpe.pieces(bpe.sample(text, random.Random(1), alpha=1.0))
    assert "".join(pieces) == SEPARATOR + text.replace(" ", SEPARATOR)
    assert all(len(piece) == 1 for piece in pieces)


def test_more_dropout_gives_more_pieces(bpe: SubwordTokenizer) -> None:
    chance = random.Random(4)
    counts = [
        sum(len(bpe.sample(text, chance, alpha=alpha)) for text in TEXT for _ in range(10))
        for alpha in (0.0, 0.1, 0.5, 1.0)
    ]
    assert counts == sorted(counts)
    assert len(set(counts)) == 4


@pytest.mark.parametrize("model_type", ["unigram", "bpe"])
def test_the_same_text_gives_the_same_vocabulary(model_type: SubwordModel) -> None:
    """So that runs with several seeds share it, and their models can be joined."""
    made = [train_tokenizer(TEXT, vocabulary_size=315, model_type=model_type) for _ in range(2)]
    assert made[0].model_bytes == made[1].model_bytes

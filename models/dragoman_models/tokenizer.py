"""Subword tokenizer: a sentencepiece model with byte fallback, so no text is out of vocabulary."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from typing import Literal

import sentencepiece

from dragoman_models.errors import TrainingError

PAD, UNK, BOS, EOS = range(4)
SubwordModel = Literal["unigram", "bpe"]
_BLANK = "\u2581"  # how sentencepiece writes a blank

# Writers use the apostrophes for the same thing, and NUL is the one control character that the
# rule nmt_nfkc would keep. One-to-one, so character offsets stay true.
_PLAIN = str.maketrans({"\u2019": "'", "\u02bc": "'", "\0": " "})


class SubwordTokenizer:
    """Text to piece ids and back.

    A unigram model (Kudo 2018) or byte-pair encoding (Sennrich et al. 2016): both can also sample
    segmentations, which regularizes training. Ids 0 to 3 are pad, unk, bos and eos. Text is
    normalized by sentencepiece's nmt_nfkc rule (control characters go, runs of blanks become one),
    and the typographic apostrophe is read as the plain one, a NUL as a blank.
    """

    def __init__(self, model: bytes) -> None:
        """Args: model: the content of a sentencepiece ``.model`` file.

        Raises:
            RuntimeError: it is no such file, or its special pieces have other ids.
        """
        if not model:
            raise RuntimeError("the tokenizer's model file is empty")
        self.model_bytes = model
        self._processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        self.vocabulary_size: int = self._processor.get_piece_size()
        special = [
            getattr(self._processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos")
        ]
        self._pieces = tuple(self._processor.id_to_piece(list(range(self.vocabulary_size))))
        if special != [PAD, UNK, BOS, EOS]:
            raise RuntimeError(f"pad, unk, bos and eos must be pieces 0 to 3, but are {special}")

    def encode(self, text: str) -> list[int]:
        """The most probable segmentation; without bos and eos. Blank text gives []."""
        return self._processor.encode(_encodable(text))  # type: ignore[no-any-return]

    def encode_all(self, texts: Sequence[str]) -> list[list[int]]:
        """``encode`` of each text. Not in one call of the library, which starts a thread for it:
        that takes longer, and much longer where the processors are busy."""
        return [self.encode(text) for text in texts]

    def encode_with_offsets(self, text: str) -> list[tuple[int, int, int]]:
        """The segmentation of ``encode`` as (id, begin, end), offsets in code points of ``text``.

        A piece that stands for nothing in the text, the blank before the first word, has an empty
        span; all pieces of one character, such as its bytes, have the span of that character.
        """
        mapping = self._processor.encode(_encodable(text), return_type="offset_mapping")
        ids, spans = mapping["ids"], list(mapping["offsets"])
        for i in reversed(range(len(ids) - 1)):
            begin, end = spans[i]
            if begin == end == spans[i + 1][0] and self._processor.id_to_piece(ids[i]) != _BLANK:
                spans[i] = spans[i + 1]
        return [(id_, begin, end) for id_, (begin, end) in zip(ids, spans, strict=True)]

    def decode_with_offsets(self, ids: Sequence[int]) -> tuple[str, list[tuple[int, int]]]:
        """The text of ``decode`` and the span of each piece in it, in code points.

        Pad, bos and eos have empty spans; all bytes of one character have the span of it.
        """
        mapping = self._processor.decode(list(ids), return_type="offset_mapping")
        spans = list(mapping["offsets"])
        for i in reversed(range(len(spans) - 1)):
            begin, end = spans[i]
            if begin == end == spans[i + 1][0] and self._processor.is_byte(ids[i]):
                spans[i] = spans[i + 1]
        return mapping["text"], spans

    def ids(self, pieces: Sequence[str]) -> list[int]:
        """What ``pieces`` turned into text; unk for what the vocabulary lacks."""
        return [self._processor.piece_to_id(piece) for piece in pieces]

    def piece_bytes(self, id_: int) -> bytes:
        """The UTF-8 that a piece adds to a text: one byte of a character for a byte piece, b""
        for pad, unk, bos and eos. A leading blank is a blank."""
        if self._processor.is_byte(id_):
            return bytes([int(self._processor.id_to_piece(id_)[3:-1], 16)])
        if id_ in (PAD, UNK, BOS, EOS):
            return b""
        return str(self._processor.id_to_piece(id_)).replace(_BLANK, " ").encode()

    def sample(self, text: str, *, alpha: float) -> list[int]:
        """A segmentation drawn at random.

        A unigram model draws from the lattice with smoothing ``alpha`` (Kudo 2018, section 3.3):
        0 makes all segmentations equally probable. Byte-pair encoding leaves out each merge with
        probability ``alpha`` (BPE-dropout, Provilkov et al. 2020, algorithm 1): 0 leaves out none.

        Draws come from sentencepiece's own generator: see ``seed_sampling``.
        """
        ids: list[int] = self._processor.encode(
            _encodable(text), enable_sampling=True, alpha=alpha, nbest_size=-1
        )
        return ids

    def decode(self, ids: Sequence[int]) -> str:
        """Text of the pieces; pad, bos and eos leave no trace."""
        return self._processor.decode(list(ids))  # type: ignore[no-any-return]

    def pieces(self, ids: Sequence[int]) -> tuple[str, ...]:
        """The pieces as written in the vocabulary, a leading blank shown as U+2581."""
        return tuple(self._pieces[i] for i in ids)


def seed_sampling(seed: int) -> None:
    """Fixes what ``SubwordTokenizer.sample`` draws from here on, in this process."""
    sentencepiece.set_random_generator_seed(seed)


def train_tokenizer(
    sentences: Iterable[str], *, vocabulary_size: int, threads: int = 1,
    model_type: SubwordModel = "unigram",
) -> SubwordTokenizer:  # fmt: skip
    """Learns a joint vocabulary. Every digit is a piece of its own, so numbers can be copied.

    The same text gives the same vocabulary: nothing in it is drawn at random.

    Raises:
        TrainingError: there is too little text for ``vocabulary_size`` pieces, or the text has
            more characters than that.
    """
    model = io.BytesIO()
    try:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=(_encodable(sentence) for sentence in sentences),
            model_writer=model,
            model_type=model_type,
            vocab_size=vocabulary_size,
            character_coverage=1.0,
            byte_fallback=True,
            split_digits=True,
            pad_id=PAD,
            unk_id=UNK,
            bos_id=BOS,
            eos_id=EOS,
            num_threads=threads,
            minloglevel=2,
        )
    except RuntimeError as error:
        too_small = "smaller than required_chars" in str(error)  # bytes and single characters
        advice = "Raise vocabulary_size" if too_small else "Lower vocabulary_size or give more text"
        raise TrainingError(
            f"cannot learn {vocabulary_size} pieces from this text: {error}. {advice}."
        ) from error
    return SubwordTokenizer(model.getvalue())


def _encodable(text: str) -> str:
    # A lone surrogate cannot be written as UTF-8, which is all that sentencepiece reads.
    if text.isascii() and "\0" not in text:
        return text
    return text.translate(_PLAIN).encode("utf-8", "replace").decode("utf-8")

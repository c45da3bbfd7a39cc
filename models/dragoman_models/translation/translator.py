"""The translator as it is served: text in, text out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_models.search.beam_search import FoundSequence, SearchOptions, beam_search
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.translation.attention import AttentionMemory
from dragoman_models.translation.corpus import pad
from dragoman_models.translation.decoder import DecoderState
from dragoman_models.translation.network import TranslationNetwork

MAX_BEAM_WIDTH = 64
_BATCH_ROWS = 512  # hypotheses decoded as one matrix: more gains nothing on a CPU's caches
_BATCH_SOURCE_TOKENS = 8192  # padded: bounds the memory that a batch's attention takes


@dataclass(frozen=True, kw_only=True)
class TranslationOptions:
    """How to search.

    Attributes:
        beam_width: hypotheses kept at each step, 1 to 64; 1 is greedy search.
        n_best: how many translations of each sentence to return, at most ``beam_width``.
        length_normalization, length_penalty: how scores of different lengths compare; the
            penalty is the alpha of Wu et al. 2016 and plays no part in the other two.
        max_length: the most target pieces; None: twice the source's and 20 more.
        return_alignments: whether to return attention weights.
    """

    beam_width: int = 5
    n_best: int = 1
    length_normalization: LengthNormalization = LengthNormalization.WU
    length_penalty: float = 1.0
    max_length: int | None = None
    return_alignments: bool = False

    def violations(self) -> list[FieldViolation]:
        """What is wrong with the options; empty where nothing is."""
        found = []
        if not 1 <= self.beam_width <= MAX_BEAM_WIDTH:
            found.append(("beam_width", f"is {self.beam_width}; give 1 to {MAX_BEAM_WIDTH}"))
        if not 1 <= self.n_best <= max(self.beam_width, 1):
            limit = f"give 1 to beam_width ({self.beam_width})"
            found.append(("n_best", f"is {self.n_best}; {limit}"))
        if not 0.0 <= self.length_penalty <= 10.0:  # NaN fails too
            found.append(("length_penalty", f"is {self.length_penalty}; give 0.0 to 10.0"))
        if self.max_length is not None and not 1 <= self.max_length <= 10_000:
            found.append(("max_length", f"is {self.max_length}; give 1 to 10,000 pieces"))
        return [FieldViolation(field=name, description=problem) for name, problem in found]


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One translation.

    Attributes:
        score: ``log_prob`` divided by the length normalization; what hypotheses are ranked by.
        log_prob: natural logarithm of the probability of the pieces and eos, given the source.
        tokens: target pieces, eos (written ``</s>``) last.
        token_log_probs: one for each of ``tokens``.
        truncated: the most allowed pieces were written, and eos was forced.
        attention: (len(tokens), source pieces with eos), rows sum to one; None if not asked for.
    """

    text: str
    score: float
    log_prob: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    truncated: bool
    attention: npt.NDArray[np.float32] | None


class Translator:
    """A trained network with its tokenizer. Safe to call from several threads at once."""

    def __init__(
        self,
        network: TranslationNetwork,
        tokenizer: SubwordTokenizer,
        *,
        source_language: str,
        target_language: str,
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.tokenizer = tokenizer
        self.source_language = source_language
        self.target_language = target_language

    def source_tokens(self, text: str) -> tuple[str, ...]:
        """The source pieces that attention refers to, eos last."""
        return self.tokenizer.pieces([*self.tokenizer.encode(text), EOS])

    def translate(
        self,
        sources: Sequence[str],
        options: TranslationOptions,
        *,
        cancelled: Callable[[int], bool] | None = None,
    ) -> list[tuple[Hypothesis, ...]]:
        """Translates sentences; batches are gathered by length inside, answers keep their order.

        Args:
            cancelled: asked for each unfinished sentence (its index) at each decoding step.
        Returns:
            for each sentence at most ``n_best`` translations, the best first; fewer where
            hypotheses differ only in how the same text is cut into pieces; () if cancelled.
        Raises:
            InvalidInputError: an option is out of range or a source holds no text.
        """
        encoded = [self.tokenizer.encode(source) for source in sources]
        violations = options.violations()
        violations += [
            FieldViolation(field=f"sources[{i}]", description="is blank; give some text")
            for i, ids in enumerate(encoded)
            if not ids
        ]
        if violations:
            raise InvalidInputError(violations)
        answers: list[tuple[Hypothesis, ...]] = [()] * len(sources)
        for batch in _batches([len(ids) for ids in encoded], options.beam_width):
            batch = [i for i in batch if cancelled is None or not cancelled(i)]
            if batch:
                found = self._search([[*encoded[i], EOS] for i in batch], batch, options, cancelled)
                for i, sequences in zip(batch, found, strict=True):
                    answers[i] = self._hypotheses(sequences, options.n_best, len(encoded[i]) + 1)
        return answers

    @torch.inference_mode()
    def _search(
        self,
        sources: list[list[int]],
        batch: list[int],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[list[FoundSequence]]:
        lengths = [len(source) for source in sources]
        memory, state = self.network.encode(pad(sources), torch.tensor(lengths))
        return beam_search(
            _SearchedNetwork(self.network),
            _SearchState(memory, state),
            max_lengths=[options.max_length or 2 * length + 20 for length in lengths],
            options=SearchOptions(
                beam_width=options.beam_width,
                bos=BOS,
                eos=EOS,
                banned=(PAD, UNK, BOS),
                n_best=options.n_best,
                normalization=options.length_normalization,
                length_penalty=options.length_penalty,
                keep_attention=options.return_alignments,
            ),
            cancelled=None if cancelled is None else lambda position: cancelled(batch[position]),
        )

    def _hypotheses(
        self, sequences: list[FoundSequence], n_best: int, source_length: int
    ) -> tuple[Hypothesis, ...]:
        """Different texts only: the best-scored way to cut each text into pieces stands for it."""
        distinct: dict[str, Hypothesis] = {}
        for sequence in sequences:
            text = self.tokenizer.decode(sequence.tokens)
            if len(distinct) < n_best and text not in distinct:
                attention = sequence.attention
                distinct[text] = Hypothesis(
                    text=text,
                    score=sequence.score,
                    log_prob=sequence.log_prob,
                    tokens=self.tokenizer.pieces([*sequence.tokens, EOS]),
                    token_log_probs=sequence.token_log_probs,
                    truncated=sequence.truncated,
                    attention=None if attention is None else attention[:, :source_length].numpy(),
                )
        return tuple(distinct.values())


class _SearchState(NamedTuple):
    memory: AttentionMemory  # one a sentence, not one a hypothesis
    decoder: DecoderState


class _SearchedNetwork:
    """The network as beam search sees it."""

    def __init__(self, network: TranslationNetwork) -> None:
        self._network = network

    def step(self, previous: Tensor, state: _SearchState) -> tuple[Tensor, _SearchState, Tensor]:
        logits, decoder, weights = self._network.step(previous, state.decoder, state.memory)
        return logits, _SearchState(state.memory, decoder), weights.flatten(0, 1)

    def select(self, state: _SearchState, sentences: Tensor | None, rows: Tensor) -> _SearchState:
        memory = state.memory
        if sentences is not None:
            memory = AttentionMemory(*(part.index_select(0, sentences) for part in memory))
        decoder = DecoderState(*(part.index_select(0, rows) for part in state.decoder))
        return _SearchState(memory, decoder)


def _batches(lengths: list[int], beam_width: int) -> list[list[int]]:
    """Indices in batches of alike length, the longest first (what lasts longest starts first)."""
    batches: list[list[int]] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batches:
            size = len(batches[-1]) + 1
            padded = size * (lengths[batches[-1][0]] + 1)
            if size * beam_width <= _BATCH_ROWS and padded <= _BATCH_SOURCE_TOKENS:
                batches[-1].append(index)
                continue
        batches.append([index])
    return batches

"""The most probable continuations of a prompt, by the beam search that translation uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from dragoman_models.arrays import Floats, Integers
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_models.language_model.generation_engine import prompt_tokens
from dragoman_models.language_model.generation_options import MAX_TOKENS, FinishReason
from dragoman_models.language_model.network import LanguageModelNetwork, NetworkState
from dragoman_models.language_model.text_stream import TextStream
from dragoman_models.language_model.text_vocabulary import TextVocabulary
from dragoman_models.search.beam_search import FoundSequence, SearchOptions, beam_search
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.token_rules import BannedTokens

MAX_BEAM_WIDTH = 64
_PROMPT_SEGMENT = 256


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """How to search; as `translation.translator.TranslationOptions`, with ``max_tokens``."""

    beam_width: int = 5
    n_best: int = 1
    length_normalization: LengthNormalization = LengthNormalization.WU
    length_penalty: float = 1.0
    max_tokens: int = 100

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
        if not 1 <= self.max_tokens <= MAX_TOKENS:
            found.append(("max_tokens", f"is {self.max_tokens}; give 1 to {MAX_TOKENS:,}"))
        return [FieldViolation(field=name, description=problem) for name, problem in found]


@dataclass(frozen=True, kw_only=True)
class Completion:
    """One continuation.

    Attributes:
        tokens: the end of text last.
        token_log_probs, log_prob: under the model; natural logarithms, the end included.
        score: ``log_prob`` divided by the length normalization.
    """

    text: str
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    finish_reason: FinishReason


class _SearchedNetwork:
    """The network as beam search sees it."""

    def __init__(self, network: LanguageModelNetwork) -> None:
        self._network = network

    def step(self, previous: Integers, state: NetworkState) -> tuple[Floats, NetworkState, None]:
        hidden, state = self._network.step(torch.from_numpy(previous), state)
        return self._network.output.log_probs(hidden).numpy(), state, None

    def select(
        self, state: NetworkState, sentences: Integers | None, rows: Integers
    ) -> NetworkState:
        kept = torch.from_numpy(rows)
        return tuple(tuple(part.index_select(0, kept) for part in layer) for layer in state)


@torch.inference_mode()
def complete(
    network: LanguageModelNetwork,
    vocabulary: TextVocabulary,
    prompt: str,
    options: CompletionOptions,
    *,
    cancelled: Callable[[], bool] | None = None,
) -> list[Completion]:
    """At most ``n_best`` continuations, the best first; none if cancelled. Different texts only.

    Raises:
        InvalidInputError: an option is out of range.
    """
    if violations := options.violations():
        raise InvalidInputError(violations)
    stop = cancelled or (lambda: False)
    ids = prompt_tokens(vocabulary, prompt)
    state = network.initial_state(1)
    for start in range(0, len(ids) - 1, _PROMPT_SEGMENT):
        if stop():
            return []
        part = torch.tensor(ids[start : min(start + _PROMPT_SEGMENT, len(ids) - 1)])
        state = network(part.unsqueeze(1), state).state
    (found,) = beam_search(
        _SearchedNetwork(network),
        state,
        max_lengths=[options.max_tokens],
        options=SearchOptions(
            beam_width=options.beam_width,
            bos=ids[-1],
            eos=vocabulary.eos,
            rules=(BannedTokens(banned=vocabulary.never_generated()),),
            n_best=options.n_best,
            normalization=options.length_normalization,
            length_penalty=options.length_penalty,
        ),
        cancelled=lambda _: stop(),
    )
    return _distinct(found, vocabulary, prompt, options.n_best)


def _distinct(
    found: Sequence[FoundSequence], vocabulary: TextVocabulary, prompt: str, most: int
) -> list[Completion]:
    """The best ``most`` texts: the best-scored way to cut each into tokens stands for it."""
    distinct: dict[str, Completion] = {}
    for sequence in found:
        stream = TextStream(vocabulary, prompt)
        text = "".join(stream.add(token) for token in sequence.tokens) + stream.finish()
        if len(distinct) < most and text not in distinct:
            tokens = (*sequence.tokens, vocabulary.eos)
            distinct[text] = Completion(
                text=text,
                tokens=tuple(vocabulary.token_text(token) for token in tokens),
                token_log_probs=sequence.token_log_probs,
                log_prob=sequence.log_prob,
                score=sequence.score,
                finish_reason=FinishReason.MAX_LENGTH
                if sequence.truncated
                else FinishReason.END_OF_TEXT,
            )
    return list(distinct.values())

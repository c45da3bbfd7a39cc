"""The most probable continuations of a prompt, by the beam search that translation uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from dragoman_models.arrays import Floats, Integers
from dragoman_models.errors import InvalidInputError
from dragoman_models.language_model.completion_options import Completion, CompletionOptions
from dragoman_models.language_model.generation_options import FinishReason
from dragoman_models.language_model.network import LanguageModelNetwork, NetworkState
from dragoman_models.language_model.text_stream import TextStream
from dragoman_models.language_model.text_vocabulary import TextVocabulary, prompt_tokens
from dragoman_models.search.beam_search import FoundSequence, SearchOptions, beam_search
from dragoman_models.search.token_rules import BannedTokens

_PROMPT_SEGMENT = 256


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

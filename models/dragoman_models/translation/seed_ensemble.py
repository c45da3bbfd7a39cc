"""Several runs of one recipe, searched together: the mean of what they think probable."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from dragoman_models.errors import TrainingError
from dragoman_models.search.beam_search import SearchOptions, beam_search
from dragoman_models.search.token_rules import BannedTokens
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.searched_network import PlainModel

_BATCH_SENTENCES = 64


class _Members:
    """The networks as beam search sees them: as one, whose probabilities are their mean."""

    def __init__(self, models: Sequence[PlainModel]) -> None:
        self._models = models

    def encode(self, sources: Sequence[list[int]]) -> list[Any]:
        return [model.encode(sources) for model in self._models]

    def step(self, previous: Tensor, state: list[Any]) -> tuple[Tensor, list[Any], None]:
        """log(mean of p), which the search's softmax leaves as it is."""
        log_probs, after = [], []
        for model, member in zip(self._models, state, strict=True):
            logits, member_after, _ = model.step(previous, member)
            log_probs.append(torch.log_softmax(logits.float(), dim=1))
            after.append(member_after)
        mean = torch.logsumexp(torch.stack(log_probs), dim=0) - math.log(len(after))  # (N, V)
        return mean, after, None

    def select(self, state: list[Any], sentences: Tensor | None, rows: Tensor) -> list[Any]:
        return [
            model.select(member, sentences, rows)
            for model, member in zip(self._models, state, strict=True)
        ]


class SeedEnsemble:
    """Translates with several networks that share a tokenizer."""

    def __init__(
        self, networks: Sequence[TranslationNetwork], tokenizers: Sequence[SubwordTokenizer]
    ) -> None:
        """Raises:
        TrainingError: there is no network, or their tokenizers differ.
        """
        if not networks or len({tokenizer.model_bytes for tokenizer in tokenizers}) != 1:
            raise TrainingError(
                "runs can be joined only if they share a tokenizer; train them with one recipe "
                "and other seeds, or give them one shared_tokenizer"
            )
        self._members = _Members([PlainModel(network.eval()) for network in networks])
        self._tokenizer = tokenizers[0]

    def translate(self, sources: Sequence[str], *, beam_width: int) -> list[str]:
        """The best translation of each source, in order."""
        encoded = [[*self._tokenizer.encode(source), EOS] for source in sources]
        order = sorted(range(len(encoded)), key=lambda i: -len(encoded[i]))
        answers = [""] * len(encoded)
        for start in range(0, len(order), _BATCH_SENTENCES):
            batch = order[start : start + _BATCH_SENTENCES]
            texts = self._search([encoded[i] for i in batch], beam_width)
            for i, text in zip(batch, texts, strict=True):
                answers[i] = text
        return answers

    @torch.inference_mode()
    def _search(self, sources: list[list[int]], beam_width: int) -> list[str]:
        found = beam_search(
            self._members,
            self._members.encode(sources),
            max_lengths=[2 * len(source) + 20 for source in sources],
            options=SearchOptions(
                beam_width=beam_width,
                bos=BOS,
                eos=EOS,
                rules=(BannedTokens(banned=(PAD, UNK, BOS)),),
            ),
        )
        return [self._tokenizer.decode(sequences[0].tokens) for sequences in found]

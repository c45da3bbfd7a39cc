"""Several runs of one recipe, searched together: the mean of what they think probable."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from dragoman_models.errors import TrainingError
from dragoman_models.search.beam_search import SearchOptions, beam_search
from dragoman_models.search.token_rules import BannedTokens
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.translation.attention import AttentionMemory
from dragoman_models.translation.corpus import pad
from dragoman_models.translation.decoder import DecoderState
from dragoman_models.translation.network import TranslationNetwork

_BATCH_SENTENCES = 64


class _MemberState(NamedTuple):
    memory: AttentionMemory  # one a sentence
    decoder: DecoderState  # one a hypothesis


class _Members:
    """The networks as beam search sees them: as one, whose probabilities are their mean."""

    def __init__(self, networks: Sequence[TranslationNetwork]) -> None:
        self._networks = networks

    def step(
        self, previous: Tensor, state: list[_MemberState]
    ) -> tuple[Tensor, list[_MemberState], None]:
        """log(mean of p), which the search's softmax leaves as it is."""
        log_probs, after = [], []
        for network, member in zip(self._networks, state, strict=True):
            logits, decoder, _ = network.step(previous, member.decoder, member.memory)
            log_probs.append(torch.log_softmax(logits.float(), dim=1))
            after.append(_MemberState(member.memory, decoder))
        mean = torch.logsumexp(torch.stack(log_probs), dim=0)  # (N, V); less log of their number
        return mean - torch.log(torch.tensor(float(len(after)))), after, None

    def select(
        self, state: list[_MemberState], sentences: Tensor | None, rows: Tensor
    ) -> list[_MemberState]:
        return [
            _MemberState(
                member.memory
                if sentences is None
                else AttentionMemory(*(p.index_select(0, sentences) for p in member.memory)),
                DecoderState(*(part.index_select(0, rows) for part in member.decoder)),
            )
            for member in state
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
        self._networks = [network.eval() for network in networks]
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
        padded = pad(sources)
        lengths = torch.tensor([len(source) for source in sources])
        found = beam_search(
            _Members(self._networks),
            [_MemberState(*network.encode(padded, lengths)) for network in self._networks],
            max_lengths=[2 * len(source) + 20 for source in sources],
            options=SearchOptions(
                beam_width=beam_width,
                bos=BOS,
                eos=EOS,
                rules=(BannedTokens(banned=(PAD, UNK, BOS)),),
            ),
        )
        return [self._tokenizer.decode(sequences[0].tokens) for sequences in found]

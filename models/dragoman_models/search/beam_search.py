"""Beam search over many sentences and hypotheses at once, for any model with a next-token step.

The search keeps the hypotheses of all sentences as one matrix of rows, those of a sentence side
by side. A hypothesis that ends leaves the beam, and the next step gives its place to another
continuation of those still in it. A sentence leaves the batch when its beam is empty, or when no
hypothesis still in it could beat the ``n_best`` that have finished, so long sentences don't hold
up short ones.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, cast

import torch
from torch import Tensor

from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.token_rules import (
    ForcedPrefixes,
    TokenRule,
    TokenRules,
)

State = TypeVar("State")


class SearchModel(Protocol[State]):
    """What a model must offer to be searched. N = sentences * hypotheses a sentence."""

    def step(self, previous: Tensor, state: State) -> tuple[Tensor, State, Tensor | None]:
        """Tokens (N,) -> logits (N, V), the next state, attention weights (N, S) or None."""

    def select(self, state: State, sentences: Tensor | None, rows: Tensor) -> State:
        """The state of the hypotheses ``rows`` (N',), indices into the N of the last step.

        ``sentences`` are the sentences that stay, or None where all do; rows are grouped by them.
        """


class Candidates(NamedTuple):
    """What may come next in each of N hypotheses: all tokens, or the few that could be chosen.

    Column c is token c, or ``tokens[:, c]`` where that is given.
    """

    logits: Tensor  # (N, C); -inf where there are too few candidates
    tokens: Tensor | None  # (N, C)
    normalizers: Tensor  # (N, 1), the logarithm of the sum of all tokens' exp(logit)


class CandidateModel(SearchModel[State], Protocol[State]):
    """A model that finds the best tokens itself, without writing out a row of all logits.

    The first ``special_tokens`` columns of its candidates are the tokens of those ids, whatever
    their logits, so that rules that speak of them alone see them where they would be.
    """

    special_tokens: int

    def candidates(
        self, previous: Tensor, state: State, width: int
    ) -> tuple[Candidates, State, Tensor | None]:
        """As ``step``, with the special tokens and the ``width`` best of the others."""


class EarlyStopping(enum.Enum):
    """When the search of a sentence ends."""

    NO_BETTER_POSSIBLE = "no-better-possible"  # nothing unfinished can beat the n_best finished
    BEAM_FINISHED = "beam-finished"  # beam_width have finished: faster, may miss a better one
    NEVER = "never"  # at the maximum length only


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What to search for. Special token ids belong to the model's vocabulary.

    ``rules`` forbid tokens; a hypothesis that they leave none ends in eos. ``coverage`` needs a
    model that gives attention weights.
    """

    beam_width: int
    bos: int
    eos: int
    rules: tuple[TokenRule, ...] = ()
    prefixes: ForcedPrefixes | None = None
    n_best: int = 1
    normalization: LengthNormalization = LengthNormalization.WU
    length_penalty: float = 1.0
    coverage: CoveragePenalty | None = None
    early_stopping: EarlyStopping = EarlyStopping.NO_BETTER_POSSIBLE
    keep_attention: bool = False

    def concern_only(self, special_tokens: int) -> bool:
        """Whether the rules speak of eos and other tokens below ``special_tokens`` alone."""
        concerned = {self.eos}
        for rule in self.rules:
            named: frozenset[int] | None = getattr(rule, "concerned", None)  # a SingleTokenRule's
            if named is None:
                return False
            concerned |= named
        return self.prefixes is None and max(concerned) < special_tokens


@dataclass(frozen=True, kw_only=True)
class FoundSequence:
    """A finished hypothesis.

    ``tokens`` are without eos; ``token_log_probs`` and the rows of ``attention`` (T, S) include
    it; ``log_prob`` is their sum and ``score`` that sum divided by the length normalization, plus
    the coverage penalty. ``truncated``: as long as allowed, so eos was forced.
    """

    tokens: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    truncated: bool
    attention: Tensor | None


def beam_search(
    model: SearchModel[State],
    state: State,
    *,
    max_lengths: Sequence[int],
    options: SearchOptions,
    cancelled: Callable[[int], bool] | None = None,
) -> list[list[FoundSequence]]:
    """Finds the best token sequences of each sentence.

    Args:
        state: the model's state with one row a sentence, before the first token.
        max_lengths: for each sentence, the most tokens before eos, which is then forced.
        cancelled: asked for each unfinished sentence at each step; True makes it leave the batch.
    Returns:
        for each sentence all hypotheses that finished, the best score first; none for a cancelled
        sentence. Those after the first ``n_best`` are what the search happened to meet.
    """
    beam = _Beam(max_lengths, options)
    predict = _predictor(model, options)
    while beam.sentences:
        candidates, state, attention = predict(beam.tokens[:, :, -1].flatten(), state)
        places = beam.log_probs.size(1)
        parents = beam.extend(candidates, attention)
        beam.collect_ended()
        left = beam.unfinished(cancelled or (lambda _: False))
        rows = (left.unsqueeze(1) * places + parents[left]).flatten()
        state = model.select(state, None if len(left) == len(parents) else left, rows)
        beam.keep(left)
    return [sorted(found, key=lambda one: one.score, reverse=True) for found in beam.found]


def _predictor(
    model: SearchModel[State], options: SearchOptions
) -> Callable[[Tensor, State], tuple[Candidates, State, Tensor | None]]:
    """What gives the next step's candidates: the model itself, where no rule needs every logit."""
    special_tokens = getattr(model, "special_tokens", 0)  # isinstance of a protocol takes long
    if options.concern_only(special_tokens):
        finder = cast(CandidateModel[State], model)
        return lambda previous, state: finder.candidates(previous, state, options.beam_width)

    def step(previous: Tensor, state: State) -> tuple[Candidates, State, Tensor | None]:
        logits, state, attention = model.step(previous, state)
        normalizers = torch.logsumexp(logits, dim=1, keepdim=True)
        return Candidates(logits, None, normalizers), state, attention

    return step


class _Beam:
    """The live hypotheses: B sentences, K hypotheses each, T tokens so far."""

    def __init__(self, max_lengths: Sequence[int], options: SearchOptions) -> None:
        self.options = options
        self.max_lengths = max_lengths
        self.rules = TokenRules(
            eos=options.eos, max_lengths=max_lengths, rules=options.rules, prefixes=options.prefixes
        )
        self.sentences = list(range(len(max_lengths)))  # which sentence each of the B is
        self.found: list[list[FoundSequence]] = [[] for _ in max_lengths]
        count = len(max_lengths)
        self.log_probs = torch.zeros(count, 1)  # (B, K) of whole hypotheses; -inf: empty place
        self.tokens = torch.full((count, 1, 1), options.bos)  # (B, K, 1 + T)
        self.token_log_probs = torch.zeros(count, 1, 0)  # (B, K, T)
        self.attention: Tensor | None = None  # (B, K, T, S)
        self.coverage: Tensor | None = None  # (B, K, S), each source position's attention so far

    @property
    def length(self) -> int:
        """T."""
        return self.tokens.size(2) - 1

    def extend(self, candidates: Candidates, attention: Tensor | None) -> Tensor:
        """Adds a token to every hypothesis, keeping the best K' of each sentence.

        The K' best of a sentence are among the K' best of each of its rows, and within a row the
        order of logits is that of probabilities, so the softmax is never written out.

        Args:
            candidates: of B * K hypotheses; logits are overwritten.
            attention: (B * K, S) or None.
        Returns:
            parents (B, K'): which of the K hypotheses each of the K' continues.
        """
        count, places = self.log_probs.shape
        logits = candidates.logits
        ends = logits[:, self.options.eos].clone()
        self.rules.forbid(logits.view(count, places, -1), self.tokens[:, :, 1:], self.sentences)
        width = min(self.options.beam_width, logits.size(1))
        best, columns = logits.topk(width, dim=1)  # (B * K, width)
        self._end_dead_ends(best, columns, ends)
        step_log_probs = (best - candidates.normalizers).view(count, places, width)
        scores = (self.log_probs.unsqueeze(2) + step_log_probs).flatten(1)
        self.log_probs, chosen = scores.topk(min(self.options.beam_width, scores.size(1)), dim=1)
        parents = chosen // width
        names = columns if candidates.tokens is None else candidates.tokens.gather(1, columns)
        tokens = names.view(count, -1).gather(1, chosen)
        added = step_log_probs.flatten(1).gather(1, chosen)
        self.tokens = _append(self.tokens, parents, tokens)
        self.token_log_probs = _append(self.token_log_probs, parents, added)
        if attention is not None:
            self._remember_attention(attention.view(count, places, -1), parents)
        return parents

    def _end_dead_ends(self, best: Tensor, columns: Tensor, ends: Tensor) -> None:
        """Lets rows that the rules left no token end in eos, with the logits ``ends`` (B * K,)."""
        stuck = best[:, 0].isneginf()
        if not stuck.any():
            return
        best[stuck, 0] = ends[stuck]
        columns[stuck, 0] = self.options.eos

    def _remember_attention(self, attention: Tensor, parents: Tensor) -> None:
        """(B, K, S) weights of this step, whole or summed up, as the options need them."""
        if self.options.keep_attention:
            self._append_attention(attention, parents)
        if self.options.coverage is not None:
            covered = attention if self.coverage is None else attention + self.coverage
            index = parents.unsqueeze(2).expand(-1, -1, attention.size(2))
            self.coverage = covered.gather(1, index)

    def _append_attention(self, attention: Tensor, parents: Tensor) -> None:
        """(B, K, S) weights of this step onto the history of the parents."""
        source = attention.size(2)
        index = parents.unsqueeze(2).expand(-1, -1, source)
        newest = attention.gather(1, index).unsqueeze(2)  # (B, K', 1, S)
        if self.attention is None:
            self.attention = newest
            return
        steps = self.attention.size(2)
        index = parents[:, :, None, None].expand(-1, -1, steps, source)
        self.attention = torch.cat([self.attention.gather(1, index), newest], dim=2)

    def collect_ended(self) -> None:
        """Moves hypotheses that end in eos to ``found`` and empties their places."""
        ended = self.tokens[:, :, -1] == self.options.eos
        if not ended.any():
            return
        ended &= self.log_probs.isfinite()
        positions, places = ended.nonzero(as_tuple=True)
        histories = zip(
            positions.tolist(), places.tolist(), self.log_probs[ended].tolist(),
            self.tokens[positions, places, 1:-1].tolist(),
            self.token_log_probs[positions, places].tolist(), strict=True,
        )  # fmt: skip
        for position, place, log_prob, tokens, token_log_probs in histories:
            self.found[self.sentences[position]].append(
                FoundSequence(
                    tokens=tuple(tokens),
                    token_log_probs=tuple(token_log_probs),
                    log_prob=log_prob,
                    score=self._score(position, place, log_prob),
                    truncated=self.length > self.max_lengths[self.sentences[position]],
                    attention=None
                    if self.attention is None
                    else self.attention[position, place].clone(),
                )
            )
        self.log_probs = self.log_probs.masked_fill(ended, float("-inf"))

    def _score(self, position: int, place: int, log_prob: float) -> float:
        options = self.options
        score = log_prob / options.normalization.divisor(self.length, options.length_penalty)
        if options.coverage is not None and self.coverage is not None:
            sentence = self.sentences[position]
            score += options.coverage.score(self.coverage[position, place], sentence)
        return score

    def unfinished(self, cancelled: Callable[[int], bool]) -> Tensor:
        """Positions (B',) of sentences that could still find something better.

        A hypothesis's log-probability can only fall, its divisor is at most that of the longest
        allowed length, and coverage only lowers a score: the quotient bounds all it can reach.
        """
        left = []
        for position, best in enumerate(self.log_probs.amax(dim=1).tolist()):
            sentence = self.sentences[position]
            if cancelled(sentence):
                self.found[sentence] = []
            elif best > float("-inf") and not self._is_done(sentence, best):
                left.append(position)
        return torch.tensor(left, dtype=torch.long)

    def _is_done(self, sentence: int, best: float) -> bool:
        """Whether a sentence whose best unfinished log-probability is ``best`` may stop."""
        options, found = self.options, self.found[sentence]
        if options.early_stopping is EarlyStopping.NEVER:
            return False
        if options.early_stopping is EarlyStopping.BEAM_FINISHED:
            return len(found) >= options.beam_width
        if len(found) < options.n_best:
            return False
        longest = self.max_lengths[sentence] + 1
        bound = best / options.normalization.divisor(longest, options.length_penalty)
        return sorted(one.score for one in found)[-options.n_best] >= bound

    def keep(self, left: Tensor) -> None:
        """Drops all sentences but those at the positions ``left``."""
        if len(left) == len(self.sentences):
            return
        self.sentences = [self.sentences[position] for position in left.tolist()]
        self.log_probs, self.tokens = self.log_probs[left], self.tokens[left]
        self.token_log_probs = self.token_log_probs[left]
        if self.attention is not None:
            self.attention = self.attention[left]
        if self.coverage is not None:
            self.coverage = self.coverage[left]


def _append(history: Tensor, parents: Tensor, newest: Tensor) -> Tensor:
    """The parents' histories (B, K, T) with the newest entries (B, K') behind: (B, K', T + 1)."""
    index = parents.unsqueeze(2).expand(-1, -1, history.size(2))
    return torch.cat([history.gather(1, index), newest.unsqueeze(2)], dim=2)

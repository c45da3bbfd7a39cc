"""Beam search over many sentences and hypotheses at once, for any model with a next-token step.

The search keeps the hypotheses of all sentences as one matrix of rows, those of a sentence side
by side. A hypothesis that ends leaves the beam, and the next step gives its place to another
continuation of those still in it. A sentence leaves the batch when its beam is empty, or when no
hypothesis still in it could beat the ``n_best`` that have finished, so long sentences don't hold
up short ones.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, TypeVar, cast

import numpy as np

from dragoman_models.arrays import Array, Floats, Integers
from dragoman_models.search.banned_phrases import BannedPhrases
from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.diverse_beams import DiverseBeams
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.repetition_penalty import RepetitionPenalty
from dragoman_models.search.required_phrases import RequiredPhrases, best_of_banks
from dragoman_models.search.rows import best_columns, gathered, log_sum_exp
from dragoman_models.search.token_rules import ForcedPrefixes, TokenRule, TokenRules

State = TypeVar("State")


class SearchModel(Protocol[State]):
    """What a model must offer to be searched. N = sentences * hypotheses a sentence."""

    def step(self, previous: Integers, state: State) -> tuple[Floats, State, Floats | None]:
        """Tokens (N,) -> logits (N, V), the next state, attention weights (N, S) or None."""

    def select(self, state: State, sentences: Integers | None, rows: Integers) -> State:
        """The state of the hypotheses ``rows`` (N',), indices into the N of the last step.

        ``sentences`` are the sentences that stay, or None where all do; rows are grouped by them.
        """


class Candidates(NamedTuple):
    """What may come next in each of N hypotheses: all tokens, or the few that could be chosen.

    Column c is token c, or ``tokens[:, c]`` where that is given.
    """

    logits: Floats  # (N, C); -inf where there are too few candidates
    tokens: Integers | None  # (N, C)
    normalizers: Floats  # (N, 1), the logarithm of the sum of all tokens' exp(logit)


class CandidateModel(SearchModel[State], Protocol[State]):
    """A model that finds the best tokens itself, without writing out a row of all logits.

    The first ``special_tokens`` columns of its candidates are the tokens of those ids, whatever
    their logits, so that rules that speak of them alone see them where they would be.
    """

    special_tokens: int

    def candidates(
        self, previous: Integers, state: State, width: int
    ) -> tuple[Candidates, State, Floats | None]:
        """As ``step``, with the special tokens and the ``width`` best of the others."""


class EarlyStopping(enum.Enum):
    """When the search of a sentence ends."""

    NO_BETTER_POSSIBLE = "no-better-possible"  # nothing unfinished can beat the n_best finished
    BEAM_FINISHED = "beam-finished"  # beam_width have finished: faster, may miss a better one
    NEVER = "never"  # at the maximum length only


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What to search for. Special token ids belong to the model's vocabulary.

    ``rules`` forbid tokens; a hypothesis that they leave none ends in eos, unless phrases forbid
    that, too. ``coverage`` needs a model that gives attention weights.
    """

    beam_width: int
    bos: int
    eos: int
    rules: tuple[TokenRule, ...] = ()
    prefixes: ForcedPrefixes | None = None
    banned_phrases: BannedPhrases | None = None
    required_phrases: RequiredPhrases | None = None
    repetition: RepetitionPenalty | None = None
    diversity: DiverseBeams | None = None
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
        of_any_token = (
            self.prefixes, self.banned_phrases, self.required_phrases, self.repetition,
        )  # fmt: skip
        return max(concerned) < special_tokens and all(one is None for one in of_any_token)

    def score(
        self, log_prob: float, *, length: int, covered: Floats | None, sentence: int
    ) -> float:
        """What a finished hypothesis is ranked by.

        Args:
            length: its tokens with eos.
            covered: (S,), the attention that each source position got; needed for coverage only.
        """
        score = log_prob / self.normalization.divisor(length, self.length_penalty)
        if self.coverage is not None and covered is not None:
            score += self.coverage.score(covered, sentence)
        return score


@dataclass(frozen=True, kw_only=True)
class FoundSequence:
    """A finished hypothesis.

    ``tokens`` are without eos; ``token_log_probs`` and the rows of ``attention`` (T, S) include
    it; ``log_prob`` is their sum and ``score`` that sum, less the repetition penalty, divided by
    the length normalization, plus the coverage penalty. ``truncated``: as long as allowed, so eos
    was forced. ``group``: of diverse beams, which of them found it.
    """

    tokens: tuple[int, ...]
    token_log_probs: tuple[float, ...]
    log_prob: float
    score: float
    truncated: bool
    attention: Floats | None
    group: int = 0


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
        sentence, or where phrases left no hypothesis a way to end. Those after the first ``n_best``
        are what the search happened to meet. Of diverse beams, first the best of each group, then
        the second of each, and so on; a sequence that several groups found is there several times.
    """
    beam = _Beam(max_lengths, options)
    predict = _predictor(model, options)
    while beam.sentences:
        candidates, state, attention = predict(beam.tokens[:, :, -1].ravel(), state)
        places = beam.log_probs.shape[1]
        parents = beam.extend(candidates, attention)
        beam.collect_ended()
        left = beam.unfinished(cancelled or (lambda _: False))
        rows = (left[:, None] * places + parents[left]).ravel()
        state = model.select(state, None if len(left) == len(parents) else left, rows)
        beam.keep(left)
    return [beam.ranked(found) for found in beam.found]


def _predictor(
    model: SearchModel[State], options: SearchOptions
) -> Callable[[Integers, State], tuple[Candidates, State, Floats | None]]:
    """What gives the next step's candidates: the model itself, where no rule needs every logit."""
    special_tokens = getattr(model, "special_tokens", 0)  # isinstance of a protocol takes long
    if options.concern_only(special_tokens):
        finder = cast(CandidateModel[State], model)
        return lambda previous, state: finder.candidates(previous, state, options.beam_width)

    def step(previous: Integers, state: State) -> tuple[Candidates, State, Floats | None]:
        logits, state, attention = model.step(previous, state)
        return Candidates(logits, None, log_sum_exp(logits, axis=1)), state, attention

    return step


class _Beam:
    """The live hypotheses: B sentences, K hypotheses each, T tokens so far."""

    def __init__(self, max_lengths: Sequence[int], options: SearchOptions) -> None:
        self.options = options
        self.max_lengths = max_lengths
        banned, required = options.banned_phrases, options.required_phrases
        self.required = None if required is None else required.begin()
        phrases = (None if banned is None else banned.begin(), self.required)
        self.phrases = [one for one in phrases if one is not None]
        self.rules = TokenRules(
            eos=options.eos, max_lengths=max_lengths, rules=options.rules,
            prefixes=options.prefixes, strict=tuple(self.phrases),
        )  # fmt: skip
        self.sentences = list(range(len(max_lengths)))  # which sentence each of the B is
        self.found: list[list[FoundSequence]] = [[] for _ in max_lengths]
        count = len(max_lengths)
        # (B, K) of whole hypotheses, less repetition penalties; -inf: empty place
        self.log_probs = np.zeros((count, 1), np.float32)
        self.tokens = np.full((count, 1, 1), options.bos, np.int64)  # (B, K, 1 + T)
        self.token_log_probs = np.zeros((count, 1, 0), np.float32)  # (B, K, T)
        self.attention: Floats | None = None  # (B, K, T, S)
        self.coverage: Floats | None = None  # (B, K, S), each source position's attention so far

    @property
    def length(self) -> int:
        """T."""
        return self.tokens.shape[2] - 1

    @property
    def groups(self) -> int:
        """Groups of diverse beams that the K places are divided among, one behind the other."""
        return 1 if self.options.diversity is None else self.options.diversity.groups

    def extend(self, candidates: Candidates, attention: Floats | None) -> Integers:
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
        best, columns = self._continuations(candidates.logits, count)
        width = best.shape[1]
        step_log_probs = (best - candidates.normalizers).reshape(count, places * width)
        scores = np.repeat(self.log_probs, width, axis=1) + step_log_probs
        names = columns if candidates.tokens is None else gathered(candidates.tokens, columns)
        choices = names.reshape(count, -1)
        self.log_probs, chosen = self._choose(scores, choices, width)
        parents: Integers = chosen // width
        tokens, added = gathered(choices, chosen), gathered(step_log_probs, chosen)
        self.tokens = _append(self.tokens, parents, tokens)
        if self.options.repetition is not None:
            added = self.options.repetition.without(added, self.tokens[:, :, 1:-1], tokens)
        self.token_log_probs = _append(self.token_log_probs, parents, added)
        for phrases in self.phrases:
            phrases.advance(parents, tokens)
        if attention is not None:
            self._remember_attention(attention.reshape(count, places, -1), parents)
        return parents

    def _continuations(self, logits: Floats, count: int) -> tuple[Floats, Integers]:
        """Logits and columns (B * K, width) of the best that may go on, of logits (B * K, C).

        Those that phrases want are among them, whatever their logits.
        """
        # (B, K, C), written to, so never a copy
        by_sentence = np.reshape(logits, (count, -1, logits.shape[1]), copy=False)
        wanted = None if self.required is None else self.required.wanted()
        so_far = self.tokens[:, :, 1:]
        if self.options.repetition is not None:
            self.options.repetition.apply(by_sentence, so_far)
        ends = self.rules.forbid(by_sentence, so_far, self.sentences, wanted)
        best, columns = best_columns(logits, min(self.options.beam_width, logits.shape[1]))
        self._end_dead_ends(best, columns, ends.ravel())
        if self.required is None or wanted is None:
            return best, columns
        return self.required.with_wanted(best, columns, logits, wanted)

    def _choose(self, scores: Floats, tokens: Integers, width: int) -> tuple[Floats, Integers]:
        """The best of the continuations (B, K * width): their scores and indices (B, K')."""
        most, diversity = self.options.beam_width, self.options.diversity
        if diversity is None and self.required is None:
            return best_columns(scores, min(most, scores.shape[1]))
        banks = self._banks(tokens, width)

        def best(among: Floats, part: slice, count: int) -> Integers:
            if banks is None:
                return best_columns(among, count)[1]
            return best_of_banks(among, banks[:, part], count)

        if diversity is None:
            chosen = best(scores, slice(None), min(most, scores.shape[1]))
        else:
            shared = scores.shape[1] == width
            chosen = diversity.choose(scores, tokens, most, best, shared=shared)
        return gathered(scores, chosen), chosen

    def _banks(self, tokens: Integers, width: int) -> Integers | None:
        """The banks of the continuations (B, K * width); None without required phrases."""
        if self.required is None:
            return None
        parents = np.broadcast_to(np.arange(tokens.shape[1]) // width, tokens.shape)
        left = [self.max_lengths[sentence] - self.length - 1 for sentence in self.sentences]
        return self.required.banks(parents, tokens, np.maximum(left, 0))

    def _end_dead_ends(self, best: Floats, columns: Integers, ends: Floats) -> None:
        """Lets rows that the rules left no token end in eos, with the logits ``ends`` (B * K,)."""
        stuck = np.isneginf(best[:, 0])
        if not stuck.any():
            return
        best[stuck, 0] = ends[stuck]
        columns[stuck, 0] = self.options.eos

    def _remember_attention(self, attention: Floats, parents: Integers) -> None:
        """(B, K, S) weights of this step, whole or summed up, as the options need them."""
        if self.options.keep_attention:
            newest = gathered(attention, parents)[:, :, None]  # (B, K', 1, S)
            before = newest[:, :, :0] if self.attention is None else self.attention
            self.attention = np.concatenate([gathered(before, parents), newest], axis=2)
        if self.options.coverage is not None:
            covered = attention if self.coverage is None else attention + self.coverage
            self.coverage = gathered(covered, parents)

    def collect_ended(self) -> None:
        """Moves hypotheses that end in eos to ``found`` and empties their places."""
        ended = self.tokens[:, :, -1] == self.options.eos
        if not ended.any():
            return
        ended &= np.isfinite(self.log_probs)
        positions, places = ended.nonzero()
        histories = zip(
            positions.tolist(), places.tolist(), self.tokens[positions, places, 1:-1].tolist(),
            self.token_log_probs[positions, places].tolist(), strict=True,
        )  # fmt: skip
        for position, place, tokens, token_log_probs in histories:
            attention, coverage = self.attention, self.coverage
            self.found[self.sentences[position]].append(
                FoundSequence(
                    tokens=tuple(tokens),
                    token_log_probs=tuple(token_log_probs),
                    log_prob=sum(token_log_probs),
                    score=self.options.score(
                        float(self.log_probs[position, place]),
                        length=self.length,
                        covered=None if coverage is None else coverage[position, place],
                        sentence=self.sentences[position],
                    ),
                    truncated=self.length > self.max_lengths[self.sentences[position]],
                    attention=None if attention is None else attention[position, place].copy(),
                    group=place * self.groups // self.log_probs.shape[1],
                )
            )
        self.log_probs[ended] = -np.inf

    def unfinished(self, cancelled: Callable[[int], bool]) -> Integers:
        """Positions (B',) of sentences that could still find something better.

        A hypothesis's log-probability can only fall, its divisor is at most that of the longest
        allowed length, and coverage only lowers a score: the quotient bounds all it can reach.
        """
        left = []
        best = self.log_probs.reshape(len(self.sentences), self.groups, -1).max(axis=2)
        for position, of_groups in enumerate(best.tolist()):
            sentence = self.sentences[position]
            if cancelled(sentence):
                self.found[sentence] = []
            elif not all(self._is_done(sentence, *one) for one in enumerate(of_groups)) or (
                self.options.diversity is not None and self._has_too_few(sentence, max(of_groups))
            ):
                left.append(position)
        return np.array(left, np.int64)

    def _is_done(self, sentence: int, group: int, best: float) -> bool:
        """Whether a group whose best unfinished log-probability is ``best`` may stop."""
        options = self.options
        if best == float("-inf"):
            return True
        if options.early_stopping is EarlyStopping.NEVER:
            return False
        found = [one.score for one in self.found[sentence] if one.group == group]
        if options.early_stopping is EarlyStopping.BEAM_FINISHED:
            return len(found) >= options.beam_width // self.groups
        wanted = math.ceil(options.n_best / self.groups)
        if len(found) < wanted:
            return False
        longest = self.max_lengths[sentence] + 1
        bound = best / options.normalization.divisor(longest, options.length_penalty)
        return sorted(found)[-wanted] >= bound

    def _has_too_few(self, sentence: int, best: float) -> bool:
        """Whether groups found the same hypotheses, so that more are needed, and can be found."""
        different = {one.tokens for one in self.found[sentence]}
        return len(different) < self.options.n_best and best > float("-inf")

    def keep(self, left: Integers) -> None:
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
        for phrases in self.phrases:
            phrases.keep(left)

    def ranked(self, found: list[FoundSequence]) -> list[FoundSequence]:
        """The best first; of diverse beams the best of each group, then the second of each."""
        best_first = sorted(found, key=lambda one: one.score, reverse=True)
        if self.options.diversity is None:
            return best_first
        return self.options.diversity.in_turn(best_first, [one.group for one in best_first])


def _append(history: Array, parents: Integers, newest: Array) -> Array:
    """The parents' histories (B, K, T) with the newest entries (B, K') behind: (B, K', T + 1)."""
    return np.concatenate([gathered(history, parents), newest[:, :, None]], axis=2)

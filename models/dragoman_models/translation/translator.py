"""The translator as it is served: text in, text out."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch

from dragoman_models.errors import FieldViolation, InvalidInputError, WorkCancelledError
from dragoman_models.search.beam_search import (
    EarlyStopping,
    FoundSequence,
    SearchOptions,
    beam_search,
)
from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.token_rules import (
    BannedTokens,
    ForcedPrefixes,
    MinimumLengths,
    NoRepeatedNgrams,
    TokenRule,
)
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_models.translation.entity_repair import EntityRepair
from dragoman_models.translation.network import TranslationNetwork
from dragoman_models.translation.searched_network import searched
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.target_scoring import ScoredTarget, score_targets

MAX_BEAM_WIDTH = 64
_LONGEST = 10_000
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
        min_length: the fewest target pieces.
        max_length_ratio, min_length_ratio: the same for each piece of the source (eos counts);
            of two limits the tighter holds, and where they cross, the most.
        coverage_penalty: beta of Wu et al. 2016, eq. 14; 0 for none.
        early_stopping: when the search of a sentence ends.
        no_repeat_ngram_size: no sequence of that many pieces occurs twice; None: no such rule.
        return_alignments: whether to return attention weights.
    """

    beam_width: int = 5
    n_best: int = 1
    length_normalization: LengthNormalization = LengthNormalization.WU
    length_penalty: float = 1.0
    max_length: int | None = None
    min_length: int = 0
    max_length_ratio: float | None = None
    min_length_ratio: float = 0.0
    coverage_penalty: float = 0.0
    early_stopping: EarlyStopping = EarlyStopping.NO_BETTER_POSSIBLE
    no_repeat_ngram_size: int | None = None
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
        found += self._length_problems()
        if not 0.0 <= self.coverage_penalty <= 100.0:
            found.append(("coverage_penalty", f"is {self.coverage_penalty}; give 0.0 to 100.0"))
        if self.no_repeat_ngram_size is not None and self.no_repeat_ngram_size < 1:
            found.append(
                ("no_repeat_ngram_size", f"is {self.no_repeat_ngram_size}; give 1 or more")
            )
        return [FieldViolation(field=name, description=problem) for name, problem in found]

    def _length_problems(self) -> list[tuple[str, str]]:
        found = []
        most, ratio = self.max_length, self.max_length_ratio
        if most is not None and not 1 <= most <= _LONGEST:
            found.append(("max_length", f"is {most}; give 1 to {_LONGEST:,} pieces"))
            most = None
        if not 0 <= self.min_length <= (most or _LONGEST):
            text = f"is {self.min_length}; give 0 to max_length ({most or _LONGEST:,})"
            found.append(("min_length", text))
        if ratio is not None and not 0.0 < ratio <= _LONGEST:  # NaN fails too
            found.append(("max_length_ratio", f"is {ratio}; give a number above 0"))
            ratio = None
        if not 0.0 <= self.min_length_ratio <= (ratio or _LONGEST):
            text = f"is {self.min_length_ratio}; give 0 or more, at most max_length_ratio"
            found.append(("min_length_ratio", text))
        return found

    def length_limits(self, source_length: int) -> tuple[int, int]:
        """Fewest and most target pieces for a source of that many, eos counted in the source."""
        most = self.max_length or 2 * source_length + 20
        if self.max_length_ratio is not None:
            most = min(most, max(1, math.floor(self.max_length_ratio * source_length)))
        fewest = max(self.min_length, math.ceil(self.min_length_ratio * source_length))
        return min(fewest, most), most


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
        repair: EntityRepair | None = None,
        arithmetic: Arithmetic = Arithmetic.PLAIN,
        shortlist: Shortlist | None = None,
    ) -> None:
        """Args:
            repair: brings back names and numbers that a translation lost.
            arithmetic: of the search; all but PLAIN keep the weights as they are now.
            shortlist: the target pieces that searches look at; PLAIN looks at all.

        Raises:
            ValueError: the arithmetic is not for such a network, or not for this CPU.
        """
        self.repair = repair
        self.network = network.eval().requires_grad_(False)
        self._model = searched(self.network, arithmetic, shortlist)
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
        prefixes: Sequence[str] | None = None,
        cancelled: Callable[[int], bool] | None = None,
    ) -> list[tuple[Hypothesis, ...]]:
        """Translates sentences; batches are gathered by length inside, answers keep their order.

        Args:
            prefixes: for each sentence what its translations begin with; empty for anything.
            cancelled: asked for each unfinished sentence (its index) at each decoding step.
        Returns:
            for each sentence at most ``n_best`` translations, the best first; fewer where
            hypotheses differ only in how the same text is cut into pieces; () if cancelled. Where
            the best one lost a name or number, they come from a search with stand-ins (see
            ``entity_repair``), and have the probabilities of the text as it is returned.
        Raises:
            InvalidInputError: an option is out of range, a source holds no text, or a prefix is
                longer than its translation may be.
        """
        encoded = self.tokenizer.encode_all(sources)
        begun = self.tokenizer.encode_all(prefixes) if prefixes else [[] for _ in sources]
        violations = options.violations()
        violations += _source_violations(encoded)
        if not violations:
            violations = _prefix_violations(encoded, begun, options)
        if violations:
            raise InvalidInputError(violations)
        answers = self._searched(encoded, begun, options, cancelled)
        if self.repair is not None:
            self._repair(sources, begun, answers, options, cancelled)
        return answers

    def _searched(
        self,
        encoded: Sequence[list[int]],
        begun: Sequence[list[int]],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[tuple[Hypothesis, ...]]:
        answers: list[tuple[Hypothesis, ...]] = [()] * len(encoded)
        for batch in _batches([len(ids) for ids in encoded], options.beam_width):
            batch = [i for i in batch if cancelled is None or not cancelled(i)]
            if batch:
                found = self._search(
                    [[*encoded[i], EOS] for i in batch], [begun[i] for i in batch], options,
                    None if cancelled is None else _of_batch(cancelled, batch),
                )  # fmt: skip
                for i, sequences in zip(batch, found, strict=True):
                    answers[i] = self._hypotheses(sequences, options.n_best, len(encoded[i]) + 1)
        return answers

    def _repair(
        self,
        sources: Sequence[str],
        begun: Sequence[list[int]],
        answers: list[tuple[Hypothesis, ...]],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> None:
        """Puts better answers in place of those that lost a name or a number."""
        repair = self.repair
        masked = {
            i: mask
            for i, answer in enumerate(answers)
            if repair and answer and not begun[i] and repair.lost(sources[i], answer[0].text)
            if (mask := repair.mask(sources[i])) is not None
        }
        encoded = [self.tokenizer.encode(one.text) for one in masked.values()]
        every = replace(options, n_best=options.beam_width)  # what suits the stand-in best may not
        searched = self._searched(
            encoded, [[] for _ in masked], every,
            None if cancelled is None else _of_batch(cancelled, list(masked)),
        )  # fmt: skip
        for (i, source), found in zip(masked.items(), searched, strict=True):
            restored = (source.restore(one.text) for one in found)
            pairs = [(sources[i], text) for text in restored if text is not None]
            if pairs:
                answers[i] = self._rescored(pairs, options)

    def _rescored(
        self, pairs: list[tuple[str, str]], options: TranslationOptions
    ) -> tuple[Hypothesis, ...]:
        """The ``n_best`` of translations, by probabilities of their own."""
        scored = self.score_targets(
            pairs, normalization=options.length_normalization,
            length_penalty=options.length_penalty,
        )  # fmt: skip
        if not options.return_alignments:
            scored = [replace(one, attention=None) for one in scored]
        ranked = sorted(scored, key=lambda one: one.score, reverse=True)
        return tuple(ranked[: options.n_best])

    def score_targets(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        normalization: LengthNormalization = LengthNormalization.WU,
        length_penalty: float = 1.0,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Hypothesis]:
        """The given targets as hypotheses for their sources, with attention, in order.

        Args:
            cancelled: asked before each batch; True ends the work with `WorkCancelledError`.
        Raises:
            InvalidInputError: a source holds no text.
        """
        encoded = [[*self.tokenizer.encode(source), EOS] for source, _ in pairs]
        targets = [self.tokenizer.encode(target) for _, target in pairs]
        blank = [
            FieldViolation(field=f"pairs[{i}].source", description="is blank; give some text")
            for i, source in enumerate(encoded)
            if len(source) == 1
        ]
        if blank:
            raise InvalidInputError(blank)
        scored: dict[int, ScoredTarget] = {}
        longest = [max(len(s), len(t)) for s, t in zip(encoded, targets, strict=True)]
        for batch in _batches(longest, beam_width=1):
            if cancelled():
                raise WorkCancelledError
            found = score_targets(
                self.network, [encoded[i] for i in batch], [targets[i] for i in batch]
            )
            scored.update(zip(batch, found, strict=True))
        divisors = [normalization.divisor(len(t) + 1, length_penalty) for t in targets]
        return [
            Hypothesis(
                text=target,
                score=sum(scored[i].token_log_probs) / divisors[i],
                log_prob=sum(scored[i].token_log_probs),
                tokens=self.tokenizer.pieces([*targets[i], EOS]),
                token_log_probs=scored[i].token_log_probs,
                truncated=False,
                attention=scored[i].attention.numpy(),
            )
            for i, (_, target) in enumerate(pairs)
        ]

    @torch.inference_mode()
    def _search(
        self,
        sources: list[list[int]],
        prefixes: list[list[int]],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[list[FoundSequence]]:
        lengths = [len(source) for source in sources]
        limits = [options.length_limits(length) for length in lengths]
        return beam_search(
            self._model,
            self._model.encode(sources),
            max_lengths=[most for _, most in limits],
            options=SearchOptions(
                beam_width=options.beam_width,
                bos=BOS,
                eos=EOS,
                rules=_rules(options, [fewest for fewest, _ in limits]),
                prefixes=ForcedPrefixes(prefixes=prefixes) if any(prefixes) else None,
                n_best=options.n_best,
                normalization=options.length_normalization,
                length_penalty=options.length_penalty,
                coverage=CoveragePenalty(beta=options.coverage_penalty, source_lengths=lengths)
                if options.coverage_penalty
                else None,
                early_stopping=options.early_stopping,
                keep_attention=options.return_alignments,
            ),
            cancelled=cancelled,
        )

    def _hypotheses(
        self, sequences: list[FoundSequence], n_best: int, source_length: int
    ) -> tuple[Hypothesis, ...]:
        """Different texts only: the best-scored way to cut each text into pieces stands for it."""
        distinct: dict[str, Hypothesis] = {}
        for sequence in sequences:
            if len(distinct) == n_best:
                break
            text = self.tokenizer.decode(sequence.tokens)
            if text not in distinct:
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


def _source_violations(encoded: Sequence[Sequence[int]]) -> list[FieldViolation]:
    return [
        FieldViolation(field=f"sources[{i}]", description="is blank; give some text")
        for i, ids in enumerate(encoded)
        if not ids
    ]


def _prefix_violations(
    encoded: Sequence[Sequence[int]], prefixes: Sequence[Sequence[int]], options: TranslationOptions
) -> list[FieldViolation]:
    found = []
    for i, (ids, prefix) in enumerate(zip(encoded, prefixes, strict=True)):
        _, most = options.length_limits(len(ids) + 1)
        if len(prefix) > most:
            text = f"has {len(prefix)} pieces; the translation may have {most}: raise max_length"
            found.append(FieldViolation(field=f"prefixes[{i}]", description=text))
    return found


def _rules(options: TranslationOptions, minimums: Sequence[int]) -> tuple[TokenRule, ...]:
    rules: list[TokenRule] = [BannedTokens(banned=(PAD, UNK, BOS))]
    if any(minimums):
        rules.append(MinimumLengths(minimums=minimums, eos=EOS))
    if options.no_repeat_ngram_size is not None:
        rules.append(NoRepeatedNgrams(size=options.no_repeat_ngram_size))
    return tuple(rules)


def _of_batch(cancelled: Callable[[int], bool], batch: Sequence[int]) -> Callable[[int], bool]:
    """``cancelled``, asked by the position in a batch."""
    return lambda position: cancelled(batch[position])


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

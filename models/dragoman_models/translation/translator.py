"""The translator as it is served: text in, text out."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dragoman_models.errors import FieldViolation, InvalidInputError, WorkCancelledError
from dragoman_models.search.beam_search import (
    EarlyStopping,
    FoundSequence,
    SearchModel,
    SearchOptions,
    beam_search,
)
from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.diverse_beams import DiverseBeams
from dragoman_models.search.ensemble import EnsembleModel
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.search.repetition_penalty import RepetitionPenalty
from dragoman_models.search.sampling_options import MAX_SAMPLES, SamplingOptions
from dragoman_models.search.sequence_sampling import sample_sequences
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
from dragoman_models.translation.phrases import (
    MAX_BANNED_PHRASES,
    MAX_REQUIRED_PHRASES,
    PhraseReader,
    SourcePhrases,
    phrase_violations,
)
from dragoman_models.translation.searched_network import PlainModel, SearchedModel, searched
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.source_task import SourceRequest, SourceTask
from dragoman_models.translation.split_translation import readable_sentences, sentence_batch
from dragoman_models.translation.target_scoring import ScoredTarget, score_targets
from dragoman_models.translation.word_alignment import WordLink, word_links

MAX_BEAM_WIDTH = 64
_LONGEST = 10_000
_MOST_REPETITION_PENALTY, _MOST_STRENGTH = 1_000_000, 1_000
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
        repetition_penalty: divides the probability of pieces that occurred; at least 1.
        banned_phrases: what no translation holds as whole words.
        diverse_beams: groups that are pushed apart; None: one beam.
        return_alignments: whether to return attention weights, and the words that they link.
        split_sentences: texts are divided at sentence ends (see ``sentence_splitting``), and
            limits and rules hold for each sentence.
        sampling: draws ``n_best`` translations (up to 64) instead of searching; what says how to
            search has no effect then. None: beam search.
        seed: of the random numbers, from 0; with the text and the options it determines what is
            drawn.
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
    repetition_penalty: float = 1.0
    banned_phrases: tuple[str, ...] = ()
    diverse_beams: DiverseBeams | None = None
    return_alignments: bool = False
    split_sentences: bool = False
    sampling: SamplingOptions | None = None
    seed: int = 0

    @property
    def width(self) -> int:
        """Hypotheses of one sentence that are decoded at the same time."""
        return self.beam_width if self.sampling is None else self.n_best

    def violations(self) -> list[FieldViolation]:
        """What is wrong with the options; empty where nothing is."""
        found = []
        if not 1 <= self.beam_width <= MAX_BEAM_WIDTH:
            found.append(("beam_width", f"is {self.beam_width}; give 1 to {MAX_BEAM_WIDTH}"))
        most, limit = max(self.beam_width, 1), f"beam_width ({self.beam_width})"
        if self.sampling is not None:
            most, limit = MAX_SAMPLES, f"{MAX_SAMPLES} with sampling"
        if not 1 <= self.n_best <= most:
            found.append(("n_best", f"is {self.n_best}; give 1 to {limit}"))
        if not 0.0 <= self.length_penalty <= 10.0:  # NaN fails too
            found.append(("length_penalty", f"is {self.length_penalty}; give 0.0 to 10.0"))
        found += self._length_problems()
        if not 0.0 <= self.coverage_penalty <= 100.0:
            found.append(("coverage_penalty", f"is {self.coverage_penalty}; give 0.0 to 100.0"))
        if self.no_repeat_ngram_size is not None and self.no_repeat_ngram_size < 1:
            found.append(
                ("no_repeat_ngram_size", f"is {self.no_repeat_ngram_size}; give 1 or more")
            )
        if not 1.0 <= self.repetition_penalty <= _MOST_REPETITION_PENALTY:
            limit = f"give 1 to {_MOST_REPETITION_PENALTY:,}"
            found.append(("repetition_penalty", f"is {self.repetition_penalty}; {limit}"))
        found += self._diversity_problems()
        if self.seed < 0:
            found.append(("sampling.seed", f"is {self.seed}; give a whole number from 0"))
        for one in self.sampling.violations() if self.sampling is not None else []:
            found.append((f"sampling.{one.field}", one.description))
        found += self._problems_with_sampling()
        violations = [FieldViolation(field=name, description=problem) for name, problem in found]
        banned = phrase_violations("banned_phrases", self.banned_phrases, MAX_BANNED_PHRASES)
        return violations + banned

    def _diversity_problems(self) -> list[tuple[str, str]]:
        diverse, found = self.diverse_beams, []
        if diverse is None:
            return []
        if not 2 <= diverse.groups <= self.beam_width or self.beam_width % diverse.groups:
            text = f"is {diverse.groups}; give 2 or more that divide beam_width ({self.beam_width})"
            found.append(("diverse_beams.groups", text))
        if not 0.0 <= diverse.strength <= _MOST_STRENGTH:
            text = f"is {diverse.strength}; give 0 to {_MOST_STRENGTH:,}"
            found.append(("diverse_beams.strength", text))
        return found

    def _problems_with_sampling(self) -> list[tuple[str, str]]:
        """Rules of a search that would have no effect on what is drawn."""
        given = {
            "banned_phrases": bool(self.banned_phrases),
            "repetition_penalty": self.repetition_penalty != 1.0,
            "diverse_beams": self.diverse_beams is not None,
        }
        text = "cannot be combined with sampling; leave one of them unset"
        return [(name, text) for name, is_set in given.items() if is_set and self.sampling]

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
        word_links: words that the attention links; empty if not asked for.
    """

    text: str
    score: float
    log_prob: float
    tokens: tuple[str, ...]
    token_log_probs: tuple[float, ...]
    truncated: bool
    attention: npt.NDArray[np.float32] | None
    word_links: tuple[WordLink, ...] = ()


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
        self._phrase_reader = PhraseReader(tokenizer)
        self.network = network.eval().requires_grad_(False)
        self._model = searched(self.network, arithmetic, shortlist)
        self.tokenizer = tokenizer
        self.source_language = source_language
        self.target_language = target_language
        self._partners: tuple[Translator, ...] = ()

    def ensemble_with(self, others: Sequence[Translator]) -> Translator:
        """A translator that averages this one's probabilities with those of others.

        Raises:
            InvalidInputError: one has another vocabulary or other languages.
        """
        problems = [(i, self._unlike(other)) for i, other in enumerate(others)]
        violations = [
            FieldViolation(field=f"ensemble_models[{i}]", description=problem)
            for i, problem in problems
            if problem
        ]
        if violations:
            raise InvalidInputError(violations)
        ensemble = copy.copy(self)
        ensemble._partners = (*self._partners, *others)
        return ensemble

    def _unlike(self, other: Translator) -> str:
        """Why the other cannot be in an ensemble with this one; empty where it can."""
        languages = (self.source_language, self.target_language)
        theirs = (other.source_language, other.target_language)
        if theirs != languages:
            own, its = "-".join(languages), "-".join(theirs)
            return f"translates {its}, but the first model {own}; give models of the same languages"
        if other.tokenizer.model_bytes != self.tokenizer.model_bytes:
            return (
                "has another vocabulary than the first model (their tokenizer.model files differ); "
                "give models that were trained with the same one"
            )
        return ""

    def source_tokens(self, text: str, *, split_sentences: bool = False) -> tuple[str, ...]:
        """The source pieces that attention refers to, eos last, or of each sentence in turn."""
        sentences = [text]
        if split_sentences:
            sentences = list(readable_sentences(text, self.tokenizer).sentences) or [text]
        ids = [id_ for one in sentences for id_ in (*self.tokenizer.encode(one), EOS)]
        return self.tokenizer.pieces(ids)

    def translate(
        self,
        sources: Sequence[str],
        options: TranslationOptions,
        *,
        prefixes: Sequence[str] | None = None,
        required_phrases: Sequence[Sequence[str]] | None = None,
        banned_phrases: Sequence[Sequence[str]] | None = None,
        cancelled: Callable[[int], bool] | None = None,
    ) -> list[tuple[Hypothesis, ...]]:
        """Translates sentences; batches are gathered by length inside, answers keep their order.

        Args:
            prefixes: for each sentence what its translations begin with; empty for anything.
            required_phrases: for each sentence what its translations hold as whole words.
            banned_phrases: for each sentence what they do not hold, beside those of the options.
            cancelled: asked for each unfinished sentence (its index) at each decoding step.
        Returns:
            for each sentence at most ``n_best`` translations, the best first; fewer where
            hypotheses differ only in how the same text is cut into pieces; () if cancelled. Where
            the best one lost a name or number, they come from a search with stand-ins (see
            ``entity_repair``), and have the probabilities of the text as it is returned. With
            sampling, all ``n_best`` that were drawn, the best first, as they were drawn.
        Raises:
            InvalidInputError: an option is out of range, a source holds no text, a prefix is
                longer than its translation may be, or phrases leave a source no translation.
        """
        requests = _requests(sources, prefixes, required_phrases, banned_phrases)
        if options.split_sentences and not options.violations():
            return self._translated_split(requests, options, cancelled)
        answers = self._translated(requests, options, cancelled)
        if options.sampling is not None:  # the order in which they were drawn says nothing
            return [tuple(sorted(one, key=lambda h: h.score, reverse=True)) for one in answers]
        return answers

    def _translated_split(
        self,
        requests: Sequence[SourceRequest],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[tuple[Hypothesis, ...]]:
        batch = sentence_batch(requests, self.tokenizer)
        try:
            answers = self._translated(batch.requests, options, batch.cancelled(cancelled))
        except InvalidInputError as error:
            raise batch.error_of_texts(error) from error
        sampled = options.sampling is not None
        return batch.joined(answers, n_best=options.n_best, sampled=sampled)

    def _translated(
        self,
        requests: Sequence[SourceRequest],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[tuple[Hypothesis, ...]]:
        """As ``translate``, but samples in the order of drawing."""
        tasks, violations = self._tasks(requests, options)
        if not violations:
            violations = _prefix_violations(tasks, options)
        if violations:
            raise InvalidInputError(violations)
        answers = self._searched(tasks, options, cancelled)
        if violations := [
            _unmet(i, task, options)
            for i, (task, answer) in enumerate(zip(tasks, answers, strict=True))
            if not answer and (task.phrases.required or task.phrases.banned)
            if cancelled is None or not cancelled(i)
        ]:
            raise InvalidInputError(violations)
        if self.repair is not None and options.sampling is None:
            self._repair(requests, tasks, answers, options, cancelled)
        if options.return_alignments:
            return [
                tuple(self._with_word_links(one.text, found) for found in answer)
                for one, answer in zip(requests, answers, strict=True)
            ]
        return answers

    def _tasks(
        self, requests: Sequence[SourceRequest], options: TranslationOptions
    ) -> tuple[list[SourceTask], list[FieldViolation]]:
        """What is to be done for each source, and what is wrong with sources and options."""
        encoded = self.tokenizer.encode_all([one.text for one in requests])
        begun = self.tokenizer.encode_all([one.prefix for one in requests])
        violations = options.violations() + _source_violations(encoded)
        phrases = self._phrases(requests, options, violations)
        tasks = [
            SourceTask(tokens=tokens, prefix=prefix, phrases=own, position=one.position)
            for one, tokens, prefix, own in zip(requests, encoded, begun, phrases, strict=True)
        ]
        return tasks, violations

    def _phrases(
        self,
        requests: Sequence[SourceRequest],
        options: TranslationOptions,
        violations: list[FieldViolation],
    ) -> list[SourcePhrases]:
        """The phrases of each source; what is wrong with them is added to the violations."""
        reader, found = self._phrase_reader, []
        everywhere = reader.read("banned_phrases", options.banned_phrases, violations)
        for i, one in enumerate(requests):
            wanted, unwanted = one.required_phrases, one.banned_phrases
            at, not_at = f"sources[{i}].required_phrases", f"sources[{i}].banned_phrases"
            violations += phrase_violations(at, wanted, MAX_REQUIRED_PHRASES)
            violations += phrase_violations(not_at, unwanted, MAX_BANNED_PHRASES)
            violations += _drawn_phrases(at, wanted, options) + _drawn_phrases(
                not_at, unwanted, options
            )
            own = reader.read(not_at, unwanted, violations)
            phrases = SourcePhrases(
                required=reader.read(at, wanted, violations), banned=(*everywhere, *own)
            )
            violations += reader.contradictions(at, phrases, wanted)
            found.append(phrases)
        return found

    def _with_word_links(self, source: str, found: Hypothesis) -> Hypothesis:
        tokenizer = self.tokenizer
        text, target_pieces = tokenizer.decode_with_offsets(tokenizer.ids(found.tokens))
        if text != found.text:  # which was given, not written by the search
            located = tokenizer.encode_with_offsets(found.text)
            target_pieces = [*((begin, end) for _, begin, end in located), (0, 0)]
        source_pieces = [(begin, end) for _, begin, end in tokenizer.encode_with_offsets(source)]
        assert found.attention is not None  # noqa: S101 - asked for only with alignments
        links = word_links(
            found.attention, source=source, target=found.text,
            source_pieces=[*source_pieces, (0, 0)], target_pieces=target_pieces,
        )  # fmt: skip
        return replace(found, word_links=links)

    def _searched(
        self,
        tasks: Sequence[SourceTask],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[tuple[Hypothesis, ...]]:
        answers: list[tuple[Hypothesis, ...]] = [()] * len(tasks)
        lengths = [len(task.tokens) for task in tasks]
        # What is drawn must not depend on what else is in the batch, so each is drawn alone.
        alone = [[i] for i in range(len(tasks))]
        for batch in _batches(lengths, options.width) if options.sampling is None else alone:
            batch = [i for i in batch if cancelled is None or not cancelled(i)]
            if batch:
                found = self._search(
                    [tasks[i] for i in batch], options,
                    None if cancelled is None else _of_batch(cancelled, batch),
                )  # fmt: skip
                for i, sequences in zip(batch, found, strict=True):
                    answers[i] = self._hypotheses(sequences, options, lengths[i] + 1)
        return answers

    def _repair(
        self,
        requests: Sequence[SourceRequest],
        tasks: Sequence[SourceTask],
        answers: list[tuple[Hypothesis, ...]],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> None:
        """Puts better answers in place of those that lost a name or a number.

        Not where a prefix or phrases are asked for, which stand-ins could break, nor where scores
        hold a penalty for repetitions.
        """
        repair = self.repair
        if options.repetition_penalty != 1.0:
            return
        masked = {
            i: mask
            for i, (one, task, answer) in enumerate(zip(requests, tasks, answers, strict=True))
            if repair and answer and not task.prefix and not task.phrases.required
            if repair.lost(one.text, answer[0].text)
            if (mask := repair.mask(one.text)) is not None
        }
        encoded = self.tokenizer.encode_all([one.text for one in masked.values()])
        every = replace(options, n_best=options.beam_width)  # what suits the stand-in best may not
        searched_again = self._searched(
            [replace(tasks[i], tokens=ids) for i, ids in zip(masked, encoded, strict=True)], every,
            None if cancelled is None else _of_batch(cancelled, list(masked)),
        )  # fmt: skip
        for (i, source), found in zip(masked.items(), searched_again, strict=True):
            restored = (source.restore(one.text) for one in found)
            pairs = [
                (requests[i].text, text)
                for text in restored
                if text is not None and not self._holds_banned(text, tasks[i].phrases)
            ]
            if pairs:
                answers[i] = self._rescored(pairs, options)

    def _holds_banned(self, text: str, phrases: SourcePhrases) -> bool:
        banned = self._phrase_reader.banned([phrases], [0])
        return banned is not None and banned.occurs(self.tokenizer.encode(text), 0)

    def _rescored(
        self, pairs: list[tuple[str, str]], options: TranslationOptions
    ) -> tuple[Hypothesis, ...]:
        """The ``n_best`` of translations, by probabilities of their own."""
        scored = self._scored_targets(
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
        scored = self._scored_targets(
            pairs, normalization=normalization, length_penalty=length_penalty, cancelled=cancelled
        )
        return [
            self._with_word_links(source, one)
            for (source, _), one in zip(pairs, scored, strict=True)
        ]

    def _scored_targets(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        normalization: LengthNormalization,
        length_penalty: float,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> list[Hypothesis]:
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
            found = self._score_batch([encoded[i] for i in batch], [targets[i] for i in batch])
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
    def _score_batch(
        self, sources: list[list[int]], targets: list[list[int]]
    ) -> list[ScoredTarget]:
        """By torch's own operations in float32, whatever the arithmetic of the search."""
        plain = [PlainModel(one.network) for one in (self, *self._partners)]
        model, state = _searchable(plain, sources)
        return score_targets(model, state, [len(source) for source in sources], targets)

    @torch.inference_mode()
    def _search(
        self,
        tasks: Sequence[SourceTask],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[list[FoundSequence]]:
        sources = [[*task.tokens, EOS] for task in tasks]
        limits = [options.length_limits(len(source)) for source in sources]
        max_lengths = [most for _, most in limits]
        to_find = self._search_options(tasks, limits, options)
        members = [one._model for one in (self, *self._partners)]
        model, state = _searchable(members, sources)
        if options.sampling is None:
            return beam_search(
                model, state, max_lengths=max_lengths, options=to_find, cancelled=cancelled
            )
        drawn = sample_sequences(
            model, state, max_length=max_lengths[0], options=to_find, sampling=options.sampling,
            generators=_generators(options, tasks[0].position, sources[0]),
            cancelled=lambda: cancelled is not None and cancelled(0),
        )  # fmt: skip
        return [drawn]

    def _search_options(
        self,
        tasks: Sequence[SourceTask],
        limits: Sequence[tuple[int, int]],
        options: TranslationOptions,
    ) -> SearchOptions:
        prefixes = [task.prefix for task in tasks]
        phrases = [task.phrases for task in tasks]
        penalty = options.repetition_penalty
        coverage = None
        if options.coverage_penalty:
            coverage = CoveragePenalty(
                beta=options.coverage_penalty,
                source_lengths=[len(task.tokens) + 1 for task in tasks],
            )
        return SearchOptions(
            beam_width=options.beam_width,
            bos=BOS,
            eos=EOS,
            rules=_rules(options, [fewest for fewest, _ in limits]),
            prefixes=ForcedPrefixes(prefixes=prefixes) if any(prefixes) else None,
            banned_phrases=self._phrase_reader.banned(phrases, [most for _, most in limits]),
            required_phrases=self._phrase_reader.required(phrases),
            repetition=RepetitionPenalty(factor=penalty) if penalty != 1.0 else None,
            diversity=options.diverse_beams,
            n_best=options.n_best,
            normalization=options.length_normalization,
            length_penalty=options.length_penalty,
            coverage=coverage,
            early_stopping=options.early_stopping,
            keep_attention=options.return_alignments,
        )

    def _hypotheses(
        self, sequences: list[FoundSequence], options: TranslationOptions, source_length: int
    ) -> tuple[Hypothesis, ...]:
        """Of a search different texts only: the best-scored way to cut each text into pieces stands
        for it; which of diverse groups takes some of each. Of what was drawn, all."""
        found: list[Hypothesis] = []
        seen: set[str] = set()
        for sequence in sequences:
            if len(found) == options.n_best:
                break
            text = self.tokenizer.decode(sequence.tokens)
            if options.sampling or text not in seen:
                seen.add(text)
                attention = sequence.attention
                hypothesis = Hypothesis(
                    text=text,
                    score=sequence.score,
                    log_prob=sequence.log_prob,
                    tokens=self.tokenizer.pieces([*sequence.tokens, EOS]),
                    token_log_probs=sequence.token_log_probs,
                    truncated=sequence.truncated,
                    attention=None if attention is None else attention[:, :source_length].numpy(),
                )
                found.append(hypothesis)
        if options.sampling:
            return tuple(found)  # in the order in which they were drawn
        return tuple(sorted(found, key=lambda one: one.score, reverse=True))


def _source_violations(encoded: Sequence[Sequence[int]]) -> list[FieldViolation]:
    return [
        FieldViolation(field=f"sources[{i}]", description="is blank; give some text")
        for i, ids in enumerate(encoded)
        if not ids
    ]


def _requests(
    sources: Sequence[str],
    prefixes: Sequence[str] | None,
    required: Sequence[Sequence[str]] | None,
    banned: Sequence[Sequence[str]] | None,
) -> list[SourceRequest]:
    none: Sequence[Sequence[str]] = [()] * len(sources)
    return [
        SourceRequest(
            text=text, prefix=prefix, required_phrases=tuple(wanted), banned_phrases=tuple(unwanted)
        )
        for text, prefix, wanted, unwanted in zip(
            sources, prefixes or [""] * len(sources), required or none, banned or none, strict=True
        )
    ]


def _searchable(
    members: Sequence[SearchedModel], sources: list[list[int]]
) -> tuple[SearchModel[Any], Any]:
    """What a search drives, and its state before the first token of sources with eos."""
    if len(members) == 1:
        return members[0], members[0].encode(sources)
    return EnsembleModel(members), tuple(one.encode(sources) for one in members)


def _drawn_phrases(
    field: str, phrases: Sequence[str], options: TranslationOptions
) -> list[FieldViolation]:
    """Phrases are rules of a search; what is drawn knows none."""
    if options.sampling is None or not phrases:
        return []
    text = "cannot be combined with sampling; leave one of them unset"
    return [FieldViolation(field=field, description=text)]


def _unmet(index: int, task: SourceTask, options: TranslationOptions) -> FieldViolation:
    """Why a source has no translation."""
    _, most = options.length_limits(len(task.tokens) + 1)
    if not task.phrases.required:
        text = f"has no translation of at most {most} pieces without the banned phrases"
        advice = "raise beam_width or max_length, or ban fewer"
        return FieldViolation(field=f"sources[{index}]", description=f"{text}; {advice}")
    text = (
        f"need {task.phrases.tokens_needed()} pieces, and no translation of at most {most} was "
        "found that holds them all under the other rules; raise max_length or beam_width, or ask "
        "for less"
    )
    return FieldViolation(field=f"sources[{index}].required_phrases", description=text)


def _prefix_violations(
    tasks: Sequence[SourceTask], options: TranslationOptions
) -> list[FieldViolation]:
    found = []
    for i, task in enumerate(tasks):
        _, most = options.length_limits(len(task.tokens) + 1)
        if len(task.prefix) > most:
            text = f"has {len(task.prefix)} pieces; it may have {most}: raise max_length"
            found.append(FieldViolation(field=f"prefixes[{i}]", description=text))
    return found


def _rules(options: TranslationOptions, minimums: Sequence[int]) -> tuple[TokenRule, ...]:
    rules: list[TokenRule] = [BannedTokens(banned=(PAD, UNK, BOS))]
    if any(minimums):
        rules.append(MinimumLengths(minimums=minimums, eos=EOS))
    if options.no_repeat_ngram_size is not None:
        rules.append(NoRepeatedNgrams(size=options.no_repeat_ngram_size))
    return tuple(rules)


def _generators(
    options: TranslationOptions, position: int, source: Sequence[int]
) -> list[np.random.Generator]:
    """Random numbers for each sample of one source: they follow from the seed and the source alone,
    and those of different sources have nothing to do with each other."""
    return [
        np.random.default_rng(np.random.SeedSequence([options.seed, index, position, *source]))
        for index in range(options.n_best)
    ]


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

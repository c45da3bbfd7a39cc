"""The translator as it is served: text in, text out."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING

from dragoman_models.errors import FieldViolation, InvalidInputError, WorkCancelledError
from dragoman_models.search.length_normalization import LengthNormalization
from dragoman_models.tokenizer import EOS, SubwordTokenizer
from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_models.translation.entity_repair import EntityRepair
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.length_batches import length_batches
from dragoman_models.translation.phrases import (
    MAX_BANNED_PHRASES,
    MAX_REQUIRED_PHRASES,
    PhraseReader,
    SourcePhrases,
    phrase_violations,
)
from dragoman_models.translation.searched_network import SearchedModel, exact, searched
from dragoman_models.translation.shortlist import Shortlist
from dragoman_models.translation.source_search import SourceSearch, of_batch, searchable
from dragoman_models.translation.source_task import SourceRequest, SourceTask
from dragoman_models.translation.source_violations import (
    blank_sources,
    drawn_phrases,
    long_prefixes,
    without_translation,
)
from dragoman_models.translation.split_translation import sentence_batch
from dragoman_models.translation.stored_network import StoredNetwork, stored
from dragoman_models.translation.target_scoring import ScoredTarget, score_targets
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator_texts import TranslatorTexts
from dragoman_models.translation.word_alignment import word_links

if TYPE_CHECKING:
    from dragoman_models.translation.network import TranslationNetwork


class Translator:
    """A trained network with its tokenizer. Safe to call from several threads at once."""

    def __init__(
        self,
        network: TranslationNetwork | StoredNetwork,
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
        self._stored = network if isinstance(network, StoredNetwork) else stored(network)
        self._arithmetic = arithmetic
        self._model = searched(self._stored, arithmetic, shortlist)
        self._search = SourceSearch([self._model], tokenizer, self._phrase_reader)
        self.tokenizer = tokenizer
        self.texts = TranslatorTexts(
            tokenizer=tokenizer, source_language=source_language, target_language=target_language
        )
        self._partners: tuple[Translator, ...] = ()

    def ensemble_with(self, others: Sequence[Translator]) -> Translator:
        """A translator that averages this one's probabilities with those of others.

        Raises:
            InvalidInputError: one has another vocabulary or other languages.
        """
        self.texts.check_alike([other.texts for other in others])
        ensemble = copy.copy(self)
        ensemble._partners = (*self._partners, *others)
        members = [one._model for one in (self, *ensemble._partners)]
        ensemble._search = SourceSearch(members, self.tokenizer, self._phrase_reader)
        return ensemble

    @property
    def network(self) -> TranslationNetwork:
        """In torch, which is loaded for it if need be."""
        return self._stored.network

    @property
    def source_language(self) -> str:
        """Its tag; empty where the bundle names none."""
        return self.texts.source_language

    @property
    def target_language(self) -> str:
        """Its tag; empty where the bundle names none."""
        return self.texts.target_language

    def source_tokens(self, text: str, *, split_sentences: bool = False) -> tuple[str, ...]:
        """The source pieces that attention refers to, eos last, or of each sentence in turn."""
        return self.texts.source_tokens(text, split_sentences=split_sentences)

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
            violations = long_prefixes(tasks, options)
        if violations:
            raise InvalidInputError(violations)
        answers = self._search.search(tasks, options, cancelled)
        if violations := [
            without_translation(i, task, options)
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
        violations = options.violations() + blank_sources(encoded)
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
            violations += drawn_phrases(at, wanted, options) + drawn_phrases(
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
        searched_again = self._search.search(
            [replace(tasks[i], tokens=ids) for i, ids in zip(masked, encoded, strict=True)], every,
            None if cancelled is None else of_batch(cancelled, list(masked)),
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
        for batch in length_batches(longest, beam_width=1):
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
                attention=scored[i].attention,
            )
            for i, (_, target) in enumerate(pairs)
        ]

    def _score_batch(
        self, sources: list[list[int]], targets: list[list[int]]
    ) -> list[ScoredTarget]:
        members = [one._exact_model for one in (self, *self._partners)]
        model, state = searchable(members, sources)
        return score_targets(model, state, [len(source) for source in sources], targets)

    @cached_property
    def _exact_model(self) -> SearchedModel:
        """In float32, whatever the arithmetic of the search."""
        return exact(self._stored, self._arithmetic)


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

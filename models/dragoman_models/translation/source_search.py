"""The search for translations of sources in pieces: batches, rules and texts of what is found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dragoman_models.search.beam_search import (
    FoundSequence,
    SearchModel,
    SearchOptions,
    beam_search,
)
from dragoman_models.search.coverage import CoveragePenalty
from dragoman_models.search.ensemble import EnsembleModel
from dragoman_models.search.repetition_penalty import RepetitionPenalty
from dragoman_models.search.sequence_sampling import sample_sequences
from dragoman_models.search.token_rules import (
    BannedTokens,
    ForcedPrefixes,
    MinimumLengths,
    NoRepeatedNgrams,
    TokenRule,
)
from dragoman_models.tokenizer import BOS, EOS, PAD, UNK, SubwordTokenizer
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.length_batches import length_batches
from dragoman_models.translation.phrases import PhraseReader
from dragoman_models.translation.searched_network import SearchedModel
from dragoman_models.translation.source_task import SourceTask
from dragoman_models.translation.translation_options import TranslationOptions


class SourceSearch:
    """Searches one network, or several that share a vocabulary by their mean probabilities."""

    def __init__(
        self,
        members: Sequence[SearchedModel],
        tokenizer: SubwordTokenizer,
        phrase_reader: PhraseReader,
    ) -> None:
        self._members = members
        self._tokenizer = tokenizer
        self._phrase_reader = phrase_reader

    def search(
        self,
        tasks: Sequence[SourceTask],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[tuple[Hypothesis, ...]]:
        """Translations of each source, at most ``n_best``: the best first, samples as drawn.

        Args:
            cancelled: asked for each unfinished source (its index) at each decoding step.
        """
        answers: list[tuple[Hypothesis, ...]] = [()] * len(tasks)
        lengths = [len(task.tokens) for task in tasks]
        # What is drawn must not depend on what else is in the batch, so each is drawn alone.
        alone = [[i] for i in range(len(tasks))]
        for batch in length_batches(lengths, options.width) if options.sampling is None else alone:
            batch = [i for i in batch if cancelled is None or not cancelled(i)]
            if batch:
                found = self._found(
                    [tasks[i] for i in batch], options,
                    None if cancelled is None else of_batch(cancelled, batch),
                )  # fmt: skip
                for i, sequences in zip(batch, found, strict=True):
                    answers[i] = self._hypotheses(sequences, options, lengths[i] + 1)
        return answers

    def _found(
        self,
        tasks: Sequence[SourceTask],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[list[FoundSequence]]:
        sources = [[*task.tokens, EOS] for task in tasks]
        limits = [options.length_limits(len(source)) for source in sources]
        max_lengths = [most for _, most in limits]
        to_find = self._search_options(tasks, limits, options)
        model, state = searchable(self._members, sources)
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
            text = self._tokenizer.decode(sequence.tokens)
            if options.sampling or text not in seen:
                seen.add(text)
                attention = sequence.attention
                hypothesis = Hypothesis(
                    text=text,
                    score=sequence.score,
                    log_prob=sequence.log_prob,
                    tokens=self._tokenizer.pieces([*sequence.tokens, EOS]),
                    token_log_probs=sequence.token_log_probs,
                    truncated=sequence.truncated,
                    attention=None if attention is None else attention[:, :source_length],
                )
                found.append(hypothesis)
        if options.sampling:
            return tuple(found)  # in the order in which they were drawn
        return tuple(sorted(found, key=lambda one: one.score, reverse=True))


def searchable(
    members: Sequence[SearchedModel], sources: list[list[int]]
) -> tuple[SearchModel[Any], Any]:
    """What a search drives, and its state before the first token of sources with eos."""
    if len(members) == 1:
        return members[0], members[0].encode(sources)
    return EnsembleModel(members), tuple(one.encode(sources) for one in members)


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


def of_batch(cancelled: Callable[[int], bool], batch: Sequence[int]) -> Callable[[int], bool]:
    """``cancelled``, asked by the position in a batch."""
    return lambda position: cancelled(batch[position])

"""Texts of several sentences: translated sentence by sentence, and joined with their spacing."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_models.translation.sentence_splitting import SplitText, split_sentences
from dragoman_models.translation.source_task import SourceRequest

if TYPE_CHECKING:
    from dragoman_models.tokenizer import SubwordTokenizer
    from dragoman_models.translation.hypothesis import Hypothesis

_ITEM = re.compile(r"(sources|prefixes)\[([0-9]+)\](.*)")


def readable_sentences(text: str, tokenizer: SubwordTokenizer) -> SplitText:
    """The sentences of ``text`` that hold anything to read; all else in it counts as spacing."""
    split = split_sentences(text)
    return split.without([not tokenizer.encode(sentence) for sentence in split.sentences])


@dataclass(frozen=True, kw_only=True)
class SentenceBatch:
    """The sentences of several texts in one list; ``texts`` says which text each is of."""

    splits: tuple[SplitText, ...]
    requests: tuple[SourceRequest, ...]
    texts: tuple[int, ...]

    def cancelled(self, asked: Callable[[int], bool] | None) -> Callable[[int], bool] | None:
        """``asked`` of texts, as it is asked of sentences."""
        return None if asked is None else lambda sentence: asked(self.texts[sentence])

    def error_of_texts(self, error: InvalidInputError) -> InvalidInputError:
        """An error that names sentences, as one that names texts."""
        violations = []
        for one in error.violations:
            if match := _ITEM.fullmatch(one.field):
                field = f"{match[1]}[{self.texts[int(match[2])]}]{match[3]}"
                violations.append(FieldViolation(field=field, description=one.description))
            else:
                violations.append(one)
        return InvalidInputError(violations)

    def joined(
        self, answers: Sequence[tuple[Hypothesis, ...]], *, n_best: int, sampled: bool
    ) -> list[tuple[Hypothesis, ...]]:
        """The answers of sentences as answers of texts; () where one of them was cancelled."""
        of_text: list[list[tuple[Hypothesis, ...]]] = [[] for _ in self.splits]
        for text, answer in zip(self.texts, answers, strict=True):
            of_text[text].append(answer)
        choose = _paired if sampled else _best_combinations
        found = []
        for split, parts in zip(self.splits, of_text, strict=True):
            chosen = choose(parts, n_best) if all(parts) else []
            texts = [joined_hypothesis(split, one) for one in chosen]
            found.append(tuple(sorted(texts, key=lambda one: one.score, reverse=True)))
        return found


def sentence_batch(requests: Sequence[SourceRequest], tokenizer: SubwordTokenizer) -> SentenceBatch:
    """Divides texts, but not those with required phrases: none says which sentence holds them.

    A prefix is that of the first sentence; banned phrases hold for each.

    Raises:
        InvalidInputError: a text has nothing to read.
    """
    splits = [
        SplitText(sentences=(one.text,), spacing=("", ""))
        if one.required_phrases
        else readable_sentences(one.text, tokenizer)
        for one in requests
    ]
    blank = [
        FieldViolation(field=f"sources[{i}]", description="is blank; give some text")
        for i, split in enumerate(splits)
        if not split.sentences
    ]
    if blank:
        raise InvalidInputError(blank)
    return SentenceBatch(
        splits=tuple(splits),
        requests=tuple(
            replace(one, text=sentence, position=k, prefix="" if k else one.prefix)
            for one, split in zip(requests, splits, strict=True)
            for k, sentence in enumerate(split.sentences)
        ),
        texts=tuple(i for i, split in enumerate(splits) for _ in split.sentences),
    )


def _best_combinations(
    parts: Sequence[Sequence[Hypothesis]], n_best: int
) -> list[tuple[Hypothesis, ...]]:
    """The ``n_best`` ways to choose a hypothesis of each sentence with the greatest sums of scores.

    Exact: whatever begins a best combination is among the best beginnings.
    """
    chosen: list[tuple[float, tuple[Hypothesis, ...]]] = [(0.0, ())]
    for hypotheses in parts:
        longer = [
            (score + one.score, (*beginning, one))
            for score, beginning in chosen
            for one in hypotheses
        ]
        chosen = sorted(longer, key=lambda pair: pair[0], reverse=True)[:n_best]
    return [one for _, one in chosen]


def _paired(parts: Sequence[Sequence[Hypothesis]], n_best: int) -> list[tuple[Hypothesis, ...]]:
    """Samples of texts: each holds one sample of each sentence, and no sample is used twice."""
    return list(zip(*parts, strict=True))[:n_best]


def joined_hypothesis(split: SplitText, parts: Sequence[Hypothesis]) -> Hypothesis:
    """One hypothesis of a text, from those of its sentences.

    Scores and log-probabilities are added up; tokens stand behind each other, those of each
    sentence with its own eos; the attention is zero between different sentences.
    """
    texts = [one.text for one in parts]
    sources, targets = split.starts(split.sentences), split.starts(texts)
    links = [
        link.moved(source=source, target=target)
        for one, source, target in zip(parts, sources, targets, strict=True)
        for link in one.word_links
    ]
    blocks = [one.attention for one in parts if one.attention is not None]
    return replace(
        parts[0],
        text=split.join(texts),
        score=sum(one.score for one in parts),
        log_prob=sum(one.log_prob for one in parts),
        tokens=tuple(token for one in parts for token in one.tokens),
        token_log_probs=tuple(number for one in parts for number in one.token_log_probs),
        truncated=any(one.truncated for one in parts),
        attention=_block_diagonal(blocks) if len(blocks) == len(parts) else None,
        word_links=tuple(links),
    )


def _block_diagonal(blocks: Sequence[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
    """(T1, S1), (T2, S2), ... -> (T1 + T2 + ..., S1 + S2 + ...)."""
    whole = np.zeros(np.sum([block.shape for block in blocks], axis=0), dtype=np.float32)
    row = column = 0
    for block in blocks:
        rows, columns = block.shape
        whole[row : row + rows, column : column + columns] = block
        row, column = row + rows, column + columns
    return whole

"""Intrinsic evaluation of word vectors: analogy questions and word-similarity judgements.

Figures are over the covered items, those whose words are all in the vocabulary; the coverage
stands beside them, for without it they mean nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.word_lookup import WordLookup, WordMatch
from dragoman_models.embeddings.word_queries import (
    AnalogyMethod,
    AnalogyQuestion,
    Neighbors,
    SearchOptions,
    WordSimilarity,
)
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import DragomanError, InvalidInputError, UnknownWordError, quoted

# Few enough that by 3CosMul, too, a call takes no more than a few seconds.
_QUESTIONS_PER_CALL = 128
_PAIRS_PER_CALL = 1_024


@dataclass(frozen=True, kw_only=True)
class AnalogyItem:
    """A question with its answer, from one section of a question file."""

    section: str
    question: AnalogyQuestion
    answer: str


@dataclass(frozen=True, kw_only=True)
class AnalogyScores:
    """How many questions there are, how many are covered, and how many of those are right."""

    questions: int
    covered: int
    correct: int

    @property
    def accuracy(self) -> float:
        """Right answers over covered questions, 0 to 1; 0 where none is covered."""
        return self.correct / self.covered if self.covered else 0.0

    @property
    def coverage(self) -> float:
        """Covered questions over all, 0 to 1."""
        return self.covered / self.questions if self.questions else 0.0


@dataclass(frozen=True, kw_only=True)
class AnalogyEvaluation:
    """The scores of all questions together, and of each section in the file's order."""

    total: AnalogyScores
    sections: dict[str, AnalogyScores]


@dataclass(frozen=True, kw_only=True)
class SimilarityJudgement:
    """What people said about how alike two words are, on any rising scale."""

    first: str
    second: str
    score: float


@dataclass(frozen=True, kw_only=True)
class SimilarityEvaluation:
    """Spearman's rank correlation between cosines and judgements over the covered pairs."""

    pairs: int
    covered: int
    spearman: float


def parse_analogies(text: str, *, fold_case: bool = True) -> list[AnalogyItem]:
    """The questions of a file in the format of questions-words.txt (Mikolov et al. 2013).

    A line ": name" starts a section; any other line holds four words a b c d, which are put into
    lowercase where `fold_case`, for vectors of lowercase words. Raises `InvalidInputError` with
    the line's number.
    """
    items: list[AnalogyItem] = []
    section = ""
    for number, line in enumerate(text.split("\n"), start=1):
        words = (line.lower() if fold_case else line).split()
        if line.startswith(":"):
            section = line[1:].strip()
        elif len(words) == 4:
            a, b, c, answer = words
            question = AnalogyQuestion(a=a, b=b, c=c)
            items.append(AnalogyItem(section=section, question=question, answer=answer))
        elif words:
            raise InvalidInputError.single(
                f"line {number}", f"holds {len(words)} words; a question has 4: {quoted(line)}"
            )
    return items


def parse_similarities(text: str) -> list[SimilarityJudgement]:
    """Lines of two words and a number, apart by tabs or spaces; "#" starts a comment line.

    Raises `InvalidInputError` with the line's number.
    """
    judgements: list[SimilarityJudgement] = []
    for number, line in enumerate(text.split("\n"), start=1):
        fields = line.split()
        if not fields or line.startswith("#"):
            continue
        try:
            first, second, score = fields
            judgement = SimilarityJudgement(first=first, second=second, score=float(score))
        except ValueError as error:
            raise InvalidInputError.single(
                f"line {number}", f"is not two words and a number: {quoted(line)}"
            ) from error
        judgements.append(judgement)
    return judgements


def evaluate_analogies(
    vectors: WordVectors,
    items: Sequence[AnalogyItem],
    method: AnalogyMethod = AnalogyMethod.THREE_COS_ADD,
    *,
    lookup: WordLookup = WordLookup.EXACT,
    max_rank: int | None = None,
    done: Callable[[int], None] | None = None,
) -> AnalogyEvaluation:
    """The share of covered questions whose best word, the three asked left out, is the answer.

    `max_rank` looks for answers only among that many most frequent words. `done` is told how many
    more questions are answered, and may raise to stop.
    """
    options = SearchOptions(k=1, lookup=lookup, max_rank=max_rank)
    counts = {item.section: np.zeros(3, dtype=np.int64) for item in items}
    for start in range(0, len(items), _QUESTIONS_PER_CALL):
        batch = items[start : start + _QUESTIONS_PER_CALL]
        expected = [_entry(vectors, item.answer, lookup) for item in batch]
        answers = vectors.analogy([item.question for item in batch], options, method)
        for item, entry, answer in zip(batch, expected, answers, strict=True):
            # A question whose words are known but cancel out is covered, and not right.
            covered = entry is not None and not isinstance(answer, UnknownWordError)
            right = covered and isinstance(answer, Neighbors) and _best(answer) == entry
            counts[item.section] += (1, covered, right)
        if done is not None:
            done(len(batch))
    total = sum(counts.values(), np.zeros(3, dtype=np.int64))
    return AnalogyEvaluation(
        total=_scores(total), sections={name: _scores(count) for name, count in counts.items()}
    )


def evaluate_similarities(
    vectors: WordVectors,
    judgements: Sequence[SimilarityJudgement],
    *,
    lookup: WordLookup = WordLookup.CASE_FALLBACK,
    done: Callable[[int], None] | None = None,
) -> SimilarityEvaluation:
    """Spearman's correlation over the covered pairs; raises `InvalidInputError` below two.

    `done` is told how many more pairs are compared, and may raise to stop.
    """
    covered: list[tuple[float, float]] = []
    for start in range(0, len(judgements), _PAIRS_PER_CALL):
        batch = judgements[start : start + _PAIRS_PER_CALL]
        answers = vectors.similarity([(item.first, item.second) for item in batch], lookup=lookup)
        covered += [
            (answer.cosine, judgement.score)
            for answer, judgement in zip(answers, batch, strict=True)
            if isinstance(answer, WordSimilarity)
        ]
        if done is not None:
            done(len(batch))
    if len(covered) < 2:
        raise InvalidInputError.single(
            "judgements", f"{len(covered)} pairs are covered; a correlation needs at least 2"
        )
    cosines, scores = np.array(covered, dtype=np.float64).T
    return SimilarityEvaluation(
        pairs=len(judgements), covered=len(covered), spearman=spearman(cosines, scores)
    )


def spearman(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Spearman's rho of two series (n,): Pearson's correlation of their ranks, ties averaged.

    NaN where a series is constant, for which it is not defined.
    """
    a, b = average_ranks(first), average_ranks(second)
    a, b = a - a.mean(), b - b.mean()
    spread = float(np.sqrt((a @ a) * (b @ b)))
    return float(a @ b) / spread if spread else float("nan")


def average_ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Ranks (n,) from 1; equal values share the mean of the ranks that they take up."""
    _, which, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)  # the highest rank of each distinct value
    ranks: NDArray[np.float64] = (last - (sizes - 1) / 2)[which]
    return ranks


def _entry(vectors: WordVectors, word: str, lookup: WordLookup) -> str | None:
    """The entry that stands for `word`; None where the vocabulary lacks it."""
    try:
        resolved = vectors.resolve(word, lookup)
    except DragomanError:
        return None
    # A word that only its subwords know can be no answer of a search.
    return None if resolved.match is WordMatch.SUBWORDS else resolved.matched_word


def _best(answer: Neighbors) -> str | None:
    return answer.neighbors[0].word if answer.neighbors else None


def _scores(counts: NDArray[np.int64]) -> AnalogyScores:
    questions, covered, correct = counts.tolist()
    return AnalogyScores(questions=questions, covered=covered, correct=correct)

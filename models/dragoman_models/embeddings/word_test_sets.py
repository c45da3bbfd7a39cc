"""Word vectors measured on named sets of judged pairs and of analogies, set by set.

What `evaluation` computes for one set, for a list of them, where a set that gives no figure has
its own error and the others theirs.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from dragoman_models.embeddings.evaluation import (
    AnalogyItem,
    SimilarityJudgement,
    evaluate_analogies,
    evaluate_similarities,
)
from dragoman_models.embeddings.word_lookup import LONGEST_WORD, WordLookup
from dragoman_models.embeddings.word_queries import AnalogyMethod, AnalogyQuestion
from dragoman_models.embeddings.word_vectors import WordVectors
from dragoman_models.errors import (
    DragomanError,
    FieldViolation,
    InvalidInputError,
    TooFewKnownError,
)


@dataclass(frozen=True, kw_only=True)
class JudgedPairs:
    """Pairs of words with what people said about how alike they are."""

    name: str
    pairs: tuple[SimilarityJudgement, ...]

    def __len__(self) -> int:
        return len(self.pairs)


@dataclass(frozen=True, kw_only=True)
class SolvedAnalogies:
    """Analogies a : b :: c : d, as (a, b, c, d)."""

    name: str
    analogies: tuple[tuple[str, str, str, str], ...]

    def __len__(self) -> int:
        return len(self.analogies)


WordTestSet: TypeAlias = JudgedPairs | SolvedAnalogies


@dataclass(frozen=True, kw_only=True)
class WordTestSetScore:
    """The figures of one set: `spearman` for judged pairs (-1 to 1), `accuracy` for analogies (0
    to 1), over the `covered` of its `items`, those whose words are all known."""

    name: str
    items: int
    covered: int
    spearman: float | None = None
    accuracy: float | None = None


@dataclass(frozen=True, kw_only=True)
class WordTestSetOptions:
    """How the sets are asked: `max_rank` looks for the answers of analogies only among that many
    most frequent words."""

    lookup: WordLookup = WordLookup.CASE_FALLBACK
    method: AnalogyMethod = AnalogyMethod.THREE_COS_ADD
    max_rank: int | None = None


def check_test_sets(sets: Sequence[WordTestSet], *, most: int = 6) -> None:
    """Raise `InvalidInputError` for blank or long words, judgements that are not finite, and sets
    with too few items: the first `most` of them, by paths like `[0].judged_pairs.pairs[2].first`.
    """
    found: list[FieldViolation] = []
    for position, one in enumerate(sets):
        root = f"[{position}]"
        if isinstance(one, JudgedPairs):
            found += _pair_violations(one, f"{root}.judged_pairs.pairs", most - len(found))
        else:
            found += _analogy_violations(
                one, f"{root}.solved_analogies.analogies", most - len(found)
            )
        if len(found) >= most:
            break
    if found:
        raise InvalidInputError(found)


def evaluate_test_sets(
    vectors: WordVectors,
    sets: Sequence[WordTestSet],
    options: WordTestSetOptions,
    done: Callable[[int], None],
) -> list[WordTestSetScore | DragomanError]:
    """The figures of each set, or `TooFewKnownError` or `InvalidInputError` in its place.

    `done` is told how many more items are done, and may raise to stop. Raises `InvalidInputError`
    for a `max_rank` below 1.
    """
    if options.max_rank is not None and options.max_rank < 1:
        text = f"is {options.max_rank}; give at least 1, or leave it out to search all words"
        raise InvalidInputError.single("max_rank", text)
    results: list[WordTestSetScore | DragomanError] = []
    for one in sets:
        try:
            if isinstance(one, JudgedPairs):
                results.append(_judged(vectors, one, options, done))
            else:
                results.append(_solved(vectors, one, options, done))
        except (TooFewKnownError, InvalidInputError) as error:
            results.append(error)
    return results


def _judged(
    vectors: WordVectors, one: JudgedPairs, options: WordTestSetOptions, done: Callable[[int], None]
) -> WordTestSetScore:
    try:
        result = evaluate_similarities(vectors, one.pairs, lookup=options.lookup, done=done)
    except InvalidInputError as error:  # it has looked at the pairs, and found too few known
        description = "; ".join(violation.description for violation in error.violations)
        raise TooFewKnownError(one.name or "the test set", description) from error
    if math.isnan(result.spearman):
        raise InvalidInputError.single(
            "judged_pairs",
            "all judgements or all cosines of the known pairs are equal, which have no "
            "correlation; give pairs that differ",
        )
    return WordTestSetScore(
        name=one.name, items=result.pairs, covered=result.covered, spearman=result.spearman
    )


def _solved(
    vectors: WordVectors,
    one: SolvedAnalogies,
    options: WordTestSetOptions,
    done: Callable[[int], None],
) -> WordTestSetScore:
    items = [
        AnalogyItem(section=one.name, question=AnalogyQuestion(a=a, b=b, c=c), answer=d)
        for a, b, c, d in one.analogies
    ]
    result = evaluate_analogies(
        vectors,
        items,
        options.method,
        lookup=options.lookup,
        max_rank=options.max_rank,
        done=done,
    ).total
    if not result.covered:
        text = f"the model knows all words of none of the {result.questions:,} analogies"
        raise TooFewKnownError(one.name or "the test set", text)
    return WordTestSetScore(
        name=one.name, items=result.questions, covered=result.covered, accuracy=result.accuracy
    )


def _pair_violations(one: JudgedPairs, root: str, most: int) -> list[FieldViolation]:
    if len(one) < 2:
        text = f"has {len(one)}; a correlation needs at least 2"
        return [FieldViolation(field=root, description=text)]
    found: list[FieldViolation] = []
    for position, pair in enumerate(one.pairs):
        path = f"{root}[{position}]"
        found += _word_violations((("first", pair.first), ("second", pair.second)), path)
        if not math.isfinite(pair.score):
            text = f"is {pair.score}; give a finite number"
            found.append(FieldViolation(field=f"{path}.judgement", description=text))
        if len(found) >= most:
            break
    return found[:most]


def _analogy_violations(one: SolvedAnalogies, root: str, most: int) -> list[FieldViolation]:
    if not len(one):
        return [FieldViolation(field=root, description="is empty; give at least 1 analogy")]
    found: list[FieldViolation] = []
    for position, words in enumerate(one.analogies):
        found += _word_violations(zip("abcd", words, strict=True), f"{root}[{position}]")
        if len(found) >= most:
            break
    return found[:most]


def _word_violations(fields: Iterable[tuple[str, str]], path: str) -> Iterator[FieldViolation]:
    for name, word in fields:
        if not word.strip():
            text = "is empty or blank; give a word"
        elif len(word) > LONGEST_WORD:
            text = f"has {len(word):,} characters; a word has at most {LONGEST_WORD:,}"
        else:
            continue
        yield FieldViolation(field=f"{path}.{name}", description=text)

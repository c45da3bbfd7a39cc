"""A chunk of text learnt by skip-gram or CBOW, compiled (Mikolov et al. 2013).

Both predict the word in the middle of a window: skip-gram from each context word by itself, CBOW
from the mean of the context words' vectors. By symmetry of the windows over a text, skip-gram's
pairs (context, word) are those of the paper's (word, context).
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dragoman_models.embeddings.training.compilation import compiled, inlined
from dragoman_models.embeddings.training.huffman import HuffmanPaths
from dragoman_models.embeddings.training.noise import AliasTable, draw
from dragoman_models.embeddings.training.prediction_kernels import (
    add_combination,
    logistic_coefficients,
    score_rows,
    softmax_coefficients,
)
from dragoman_models.embeddings.training.random_bits import next_below, next_bits
from dragoman_models.embeddings.training.simd import (
    LANES,
    Integer,
    Pointer,
    add,
    broadcast,
    load,
    multiply,
    padded_matrix,
    pointer_to,
    prefetch,
    store,
)

NEGATIVE_SAMPLING, HIERARCHICAL_SOFTMAX, FULL_SOFTMAX = 0, 1, 2
SENTENCE_END = -1

# Longer sentences are cut, so that the scratch memory is bounded.
_LONGEST_SENTENCE = 10_000
# Noise words are drawn this far ahead, so that their rows have arrived when they are needed.
_NOISE_AHEAD = 24
_S32 = np.uint64(32)


class Weights(NamedTuple):
    """The vectors of words as inputs, and of words (or inner nodes) as outputs; padded rows."""

    inputs: NDArray[np.float32]  # (V, width)
    outputs: NDArray[np.float32]  # (V, width), or (V - 1, width) for hierarchical softmax


class Tables(NamedTuple):
    """What training looks up for each word."""

    keep: NDArray[np.uint64]  # (V,), see subsampling.py
    noise: AliasTable  # empty but for negative sampling
    paths: HuffmanPaths  # empty but for hierarchical softmax


class Plan(NamedTuple):
    """The settings of the loops; `shared_noise` draws noise once a window rather than a pair."""

    window: int
    negatives: int
    objective: int
    mean_of_context: bool  # CBOW rather than skip-gram
    shared_noise: bool


class Scratch(NamedTuple):
    """Memory that a chunk works in; each thread has its own."""

    state: NDArray[np.uint64]  # (1,), of the random numbers
    sentence: NDArray[np.int32]  # (_LONGEST_SENTENCE,)
    context: NDArray[np.int32]  # (2 window,)
    rows: NDArray[np.int32]  # the output rows of one prediction
    signs: NDArray[np.float32]
    every: NDArray[np.int32]  # 0, 1, 2, ...
    inputs: NDArray[np.float32]  # (2 window, width)
    gradient: NDArray[np.float32]  # (1, width)
    scores: NDArray[np.float32]  # (2 window x rows, rounded up)
    noise: NDArray[np.int32]  # (_NOISE_AHEAD,), words drawn already
    report: NDArray[np.float64]  # loss, predictions, words kept


def new_scratch(weights: Weights, tables: Tables, plan: Plan) -> Scratch:
    """Memory for one thread."""
    if plan.objective == NEGATIVE_SAMPLING:
        most_rows = plan.negatives + 1
    elif plan.objective == HIERARCHICAL_SOFTMAX:
        most_rows = int(np.diff(tables.paths.starts).max())
    else:
        most_rows = len(weights.outputs)
    widest, width = 2 * plan.window, weights.inputs.shape[1]
    return Scratch(
        state=np.zeros(1, dtype=np.uint64),
        sentence=np.empty(_LONGEST_SENTENCE, dtype=np.int32),
        context=np.empty(widest, dtype=np.int32),
        rows=np.arange(most_rows, dtype=np.int32),
        signs=np.ones(most_rows, dtype=np.float32),
        every=np.arange(widest, dtype=np.int32),
        inputs=padded_matrix(widest, width),
        gradient=padded_matrix(1, width),
        scores=padded_matrix(1, widest * most_rows + LANES)[0],
        noise=np.zeros(_NOISE_AHEAD, dtype=np.int32),
        report=np.zeros(3),
    )


class _Task(NamedTuple):
    """All of the above as the inner loops see it: pointers and numbers."""

    width: int
    vocabulary_size: int
    window: int
    negatives: int
    objective: int
    mean_of_context: bool
    shared_noise: bool
    inputs: Pointer
    outputs: Pointer
    noise_thresholds: Pointer
    noise_alternatives: Pointer
    path_starts: Pointer
    path_nodes: Pointer
    path_signs: Pointer
    state: Pointer
    sentence: Pointer
    context: Pointer
    rows: Pointer
    signs: Pointer
    every: Pointer
    hidden: Pointer
    gradient: Pointer
    scores: Pointer
    noise: Pointer
    report: Pointer


@compiled
def train_chunk(
    ids: NDArray[np.int32],
    weights: Weights,
    tables: Tables,
    plan: Plan,
    scratch: Scratch,
    rates: tuple[float, float],
) -> None:
    """Learns from `ids` (words, with SENTENCE_END after each sentence), changing `weights`.

    The learning rate goes from the first of `rates` to the second; `scratch.state` says which
    random numbers are used. In `scratch.report` are then the sum of the losses, the number of
    predictions, and the number of words that were kept.
    """
    task = _task(weights, tables, plan, scratch)
    scratch.report[:] = 0.0
    if plan.objective == NEGATIVE_SAMPLING:
        for i in range(_NOISE_AHEAD):
            _next_noise(i, task)
    begin, cursor = 0, 0
    while begin < len(ids):
        rate = rates[0] + (rates[1] - rates[0]) * begin / len(ids)
        length = 0
        while begin < len(ids) and length < _LONGEST_SENTENCE:
            word = ids[begin]
            begin += 1
            if word == SENTENCE_END:
                break
            if (next_bits(task.state) >> _S32) < tables.keep[word]:
                scratch.sentence[length] = word
                length += 1
        cursor = _train_sentence(length, cursor, rate, task)
        scratch.report[2] += length


@inlined
def _task(weights: Weights, tables: Tables, plan: Plan, scratch: Scratch) -> _Task:
    return _Task(
        weights.inputs.shape[1],
        len(tables.keep),
        plan.window,
        plan.negatives,
        plan.objective,
        plan.mean_of_context,
        plan.shared_noise,
        pointer_to(weights.inputs),
        pointer_to(weights.outputs),
        pointer_to(tables.noise.thresholds),
        pointer_to(tables.noise.alternatives),
        pointer_to(tables.paths.starts),
        pointer_to(tables.paths.nodes),
        pointer_to(tables.paths.signs),
        pointer_to(scratch.state),
        pointer_to(scratch.sentence),
        pointer_to(scratch.context),
        pointer_to(scratch.rows),
        pointer_to(scratch.signs),
        pointer_to(scratch.every),
        pointer_to(scratch.inputs),
        pointer_to(scratch.gradient),
        pointer_to(scratch.scores),
        pointer_to(scratch.noise),
        pointer_to(scratch.report),
    )


@inlined
def _train_sentence(length: int, cursor: int, rate: float, task: _Task) -> int:
    """Learns `length` words; `cursor` is the place of the next noise word, and so is the result."""
    for position in range(length):
        # Windows of 1 to `window` words are equally likely, so near words count more.
        radius = next_below(task.state, task.window) + 1
        ahead = position + task.window + 1
        if ahead < length:
            _prefetch_row(task.inputs, task.sentence[ahead], task.width)
            if task.objective != HIERARCHICAL_SOFTMAX:
                _prefetch_row(task.outputs, task.sentence[ahead], task.width)
        count = 0
        for other in range(max(0, position - radius), min(length, position + radius + 1)):
            if other != position:
                task.context[count] = task.sentence[other]
                count += 1
        if count == 0:
            continue
        # All pairs of the window at once, or pair by pair with noise words of their own.
        at_once = 1
        if task.mean_of_context or task.shared_noise or task.objective != NEGATIVE_SAMPLING:
            at_once = count
        for first in range(0, count, at_once):
            cursor = _predict(task.sentence[position], first, at_once, cursor, rate, task)
    return cursor


@inlined
def _predict(word: int, first: int, count: int, cursor: int, rate: float, task: _Task) -> int:
    """Learns to predict `word` from `count` context words, each by itself or all by their mean.

    `cursor` is as in `_train_sentence`.
    """
    width = task.width
    predictions = 1
    if task.mean_of_context:
        _take_mean(count, task)
    else:
        predictions = count
        for b in range(count):
            row = np.int64(task.context[first + b]) * width
            for k in range(0, width, LANES):
                store(task.hidden, b * width + k, load(task.inputs, row + k))
    size, cursor = _choose_rows(word, cursor, task)
    score_rows(task.hidden, predictions, task.outputs, task.rows, size, width, task.scores)
    if task.objective == FULL_SOFTMAX:
        loss = softmax_coefficients(task.scores, predictions, size, word, rate)
    else:
        loss = logistic_coefficients(task.scores, predictions, task.signs, size, rate)
    task.report[0] += loss
    task.report[1] += predictions
    for b in range(predictions):
        target, to = task.gradient, np.int64(0)
        if not task.mean_of_context:
            target, to = task.inputs, np.int64(task.context[first + b]) * width
        add_combination(target, to, task.scores, b * size, 1, task.outputs, task.rows, size, width)
    for m in range(size):
        to = np.int64(task.rows[m]) * width
        add_combination(
            task.outputs, to, task.scores, m, size, task.hidden, task.every, predictions, width
        )
    if task.mean_of_context:
        _spread_gradient(count, task)
    return cursor


@inlined
def _take_mean(count: int, task: _Task) -> None:
    """The mean of the context words' vectors becomes the one input; its gradient starts at 0."""
    share = broadcast(np.float32(1.0 / count))
    zeros = broadcast(np.float32(0.0))
    for k in range(0, task.width, LANES):
        mean = zeros
        for b in range(count):
            mean = add(mean, load(task.inputs, np.int64(task.context[b]) * task.width + k))
        store(task.hidden, k, multiply(mean, share))
        store(task.gradient, k, zeros)


@inlined
def _spread_gradient(count: int, task: _Task) -> None:
    """Each context word gets its share of the mean's gradient, which is the count-th part of it.

    Programs that leave the division out follow another objective's gradient (Irsoy, Benton and
    Stratos 2021).
    """
    share = broadcast(np.float32(1.0 / count))
    for b in range(count):
        row = np.int64(task.context[b]) * task.width
        for k in range(0, task.width, LANES):
            step = multiply(load(task.gradient, k), share)
            store(task.inputs, row + k, add(load(task.inputs, row + k), step))


@inlined
def _choose_rows(word: int, cursor: int, task: _Task) -> tuple[Integer, int]:
    """Writes down the output rows that predict `word`, and their signs; how many, and `cursor`."""
    if task.objective == FULL_SOFTMAX:
        return task.vocabulary_size, cursor  # task.rows is 0, 1, 2, ... from the beginning
    if task.objective == HIERARCHICAL_SOFTMAX:
        start = task.path_starts[word]
        length = task.path_starts[word + 1] - start
        for m in range(length):
            task.rows[m] = task.path_nodes[start + m]
            task.signs[m] = task.path_signs[start + m]
        return length, cursor
    task.rows[0] = word
    task.signs[0] = np.float32(-1.0)
    size = 1
    for _ in range(task.negatives):
        noise = _next_noise(cursor, task)
        cursor = cursor + 1 if cursor + 1 < _NOISE_AHEAD else 0
        if noise != word:  # a word is not its own noise
            task.rows[size] = noise
            size += 1
    return size, cursor


@inlined
def _next_noise(cursor: int, task: _Task) -> Integer:
    noise = task.noise[cursor]
    drawn = draw(task.noise_thresholds, task.noise_alternatives, task.vocabulary_size, task.state)
    task.noise[cursor] = drawn
    _prefetch_row(task.outputs, drawn, task.width)
    return noise


@inlined
def _prefetch_row(matrix: Pointer, row: int, width: int) -> None:
    for k in range(0, width, LANES):
        prefetch(matrix, np.int64(row) * width + k)

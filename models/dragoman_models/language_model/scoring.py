"""Log-probabilities of texts, many in one padded batch, each as if it were alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from dragoman_models.errors import WorkCancelledError
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.text_scores import TextScore, TextToScore, TokenScore
from dragoman_models.language_model.text_vocabulary import TextVocabulary, Token, locate_text

_SEGMENT = 256  # steps between two looks at whether the answer is still wanted
_BATCH_ROWS = 64


@dataclass(frozen=True, kw_only=True)
class _Sequence:
    """Ids from the end-of-text token that stands before everything, and which are scored."""

    ids: list[int]
    scored: list[Token]  # the last len(scored) of ids


def _sequence(vocabulary: TextVocabulary, item: TextToScore, *, with_end: bool) -> _Sequence:
    start, length = len(item.context), len(item.text)
    located = locate_text(vocabulary, item.context + item.text)
    first = next((i for i, token in enumerate(located) if token.end > start), len(located))
    if not start:
        first = 0  # the blank before the first word has an empty span
    scored = [
        Token(token.id, max(token.begin - start, 0), max(token.end - start, 0))
        for token in located[first:]
    ]
    if with_end:
        scored.append(Token(vocabulary.eos, length, length))
    before = [vocabulary.eos, *(token.id for token in located[:first])]
    return _Sequence(ids=[*before, *(token.id for token in scored)], scored=scored)


def score_texts(
    network: LanguageModelNetwork,
    vocabulary: TextVocabulary,
    items: Sequence[TextToScore],
    *,
    exclude_end: bool = False,
    cancelled: Callable[[], bool] | None = None,
) -> list[TextScore]:
    """Scores texts; they are gathered by length inside, and answers keep their order.

    Raises:
        WorkCancelledError: ``cancelled`` said so; it is asked at each segment of each batch.
    """
    sequences = [_sequence(vocabulary, item, with_end=not exclude_end) for item in items]
    order = sorted(range(len(items)), key=lambda i: -len(sequences[i].ids))
    log_probs: dict[int, list[float]] = {}
    for start in range(0, len(order), _BATCH_ROWS):
        batch = order[start : start + _BATCH_ROWS]
        found = _batch_log_probs(network, [sequences[i].ids for i in batch], cancelled)
        log_probs.update(zip(batch, found, strict=True))
    return [
        _text_score(vocabulary, item, sequence.scored, log_probs[i])
        for i, (item, sequence) in enumerate(zip(items, sequences, strict=True))
    ]


@torch.inference_mode()
def _batch_log_probs(
    network: LanguageModelNetwork, rows: list[list[int]], cancelled: Callable[[], bool] | None
) -> list[list[float]]:
    """Log-probabilities of all but the first id of each row; rows with the longest first.

    Padding stands only behind a row's end, and a row that has ended leaves the batch at the next
    segment, so nothing of it reaches another.
    """
    longest = len(rows[0])
    ids = torch.zeros(longest, len(rows), dtype=torch.long)  # (T, B)
    lengths = torch.tensor([len(row) for row in rows])
    for column, row in enumerate(rows):
        ids[: len(row), column] = torch.tensor(row)
    state = network.initial_state(len(rows))
    found: list[list[float]] = [[] for _ in rows]
    for start in range(0, longest - 1, _SEGMENT):
        if cancelled is not None and cancelled():
            raise WorkCancelledError
        live = int((lengths > start + 1).sum())
        part = ids[start : start + _SEGMENT + 1, :live]
        state = tuple(tuple(one[:live] for one in layer) for layer in state)
        outputs = network(part[:-1], state)
        state = outputs.state
        steps = torch.arange(start + 1, start + len(part)).unsqueeze(1)  # (T, 1)
        real = steps < lengths[:live]  # (T, live)
        values: Tensor = network.output.token_log_probs(outputs.dropped[real], part[1:][real])
        columns = real.nonzero()[:, 1]
        for column in range(live):
            found[column] += values[columns == column].tolist()
    return found


def _text_score(
    vocabulary: TextVocabulary, item: TextToScore, scored: list[Token], log_probs: list[float]
) -> TextScore:
    own = log_probs[len(log_probs) - len(scored) :]
    return TextScore(
        tokens=tuple(
            TokenScore(
                token=vocabulary.token_text(token.id),
                log_prob=log_prob,
                begin=token.begin,
                end=token.end,
            )
            for token, log_prob in zip(scored, own, strict=True)
        ),
        words=len(item.text.split()),
        characters=len(item.text),
        unknown_tokens=sum(token.id == vocabulary.unknown for token in scored),
    )

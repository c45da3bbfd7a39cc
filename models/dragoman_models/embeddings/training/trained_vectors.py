"""What training word vectors leaves behind."""

from __future__ import annotations

from dataclasses import dataclass

from dragoman_models.embeddings.training.word_counts import WordCounts
from dragoman_models.embeddings.word_vectors import WordVectors


@dataclass(frozen=True, kw_only=True)
class TrainedVectors:
    """What a run learnt, and what there is to say of it."""

    vectors: WordVectors
    words: WordCounts
    mean_losses: tuple[float, ...]  # of each epoch, nats a prediction (or weighted squares)
    seconds: float  # of learning alone
    amount: int  # words (or entries) learnt from, over all epochs

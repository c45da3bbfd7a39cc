"""A model's hypotheses as messages of the API."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from dragoman.v1 import decoding_pb2
from dragoman.v1 import translation_service_pb2 as pb

if TYPE_CHECKING:
    from dragoman_models.translation.hypothesis import Hypothesis


def fill_hypothesis(
    message: pb.Hypothesis,
    found: "Hypothesis",
    *,
    source_tokens: Sequence[str],
    with_tokens: bool,
    with_alignment: bool,
) -> None:
    """Writes ``found`` into ``message``; tokens and alignment only where they are asked for."""
    message.text, message.score, message.log_prob = found.text, found.score, found.log_prob
    message.finish_reason = (
        decoding_pb2.FINISH_REASON_MAX_LENGTH
        if found.truncated
        else decoding_pb2.FINISH_REASON_END_OF_SEQUENCE
    )
    if with_tokens:
        message.tokens.extend(found.tokens)
        message.token_log_probs.extend(found.token_log_probs)
    if with_alignment and found.attention is not None:
        message.alignment.source_tokens.extend(source_tokens)
        message.alignment.target_tokens.extend(found.tokens)
        message.alignment.weights.extend(found.attention.ravel().tolist())
        for link in found.word_links:
            added = message.alignment.word_links.add(weight=link.weight)
            added.source.start, added.source.end = link.source
            added.target.start, added.target.end = link.target

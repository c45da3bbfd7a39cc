"""What the client's calls answer: plain values, no protobuf."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from dragoman_client.options import SearchMethod

# The value of each member, in capitals, is what the API's enum calls it. A value that only a newer
# server knows is read as UNKNOWN.


class WordMatch(enum.Enum):
    """How a word was found in the vocabulary."""

    EXACT = "exact"
    IGNORING_CASE = "ignoring_case"
    SUBWORDS = "subwords"
    UNKNOWN = "unknown"


class FinishReason(enum.Enum):
    """Why a text ends where it ends."""

    END_OF_SEQUENCE = "end_of_sequence"
    MAX_LENGTH = "max_length"
    STOP_STRING = "stop_string"
    UNKNOWN = "unknown"


class ModelState(enum.Enum):
    """The state of one version of a model in the server."""

    LOADING = "loading"
    READY = "ready"
    FAILED = "failed"
    UNLOADED = "unloaded"
    UNKNOWN = "unknown"


class HealthStatus(enum.Enum):
    """Whether a service answers, by the health protocol of gRPC."""

    UNKNOWN = 0
    SERVING = 1
    NOT_SERVING = 2
    SERVICE_UNKNOWN = 3


@dataclass(frozen=True, kw_only=True)
class ModelVersion:
    """One version of a model. In a request, None is the current version."""

    name: str
    version: int | None = None

    def __str__(self) -> str:
        return self.name if self.version is None else f"{self.name}/{self.version}"


@dataclass(frozen=True, kw_only=True)
class ResolvedWord:
    """The entry of the vocabulary that stands for a word of the request.

    ``rank`` is its rank by frequency, from 1; 0 for a word made from subwords.
    """

    word: str
    match: WordMatch
    rank: int


@dataclass(frozen=True, kw_only=True)
class WordVector:
    """A word with its vector of ``len(values)`` components."""

    word: ResolvedWord
    values: tuple[float, ...]
    model: ModelVersion


@dataclass(frozen=True, kw_only=True)
class Similarity:
    """How alike two words are: the cosine of their vectors, -1 to 1."""

    cosine: float
    first: ResolvedWord
    second: ResolvedWord
    model: ModelVersion


@dataclass(frozen=True, kw_only=True)
class Neighbor:
    """A word near a query, with its cosine (or the score of the analogy) and its rank."""

    word: str
    score: float
    rank: int


@dataclass(frozen=True, kw_only=True)
class Neighbors:
    """The words nearest to a query, or that complete an analogy, best first.

    ``query_words`` are the entries that were found for the words of the query; ``method`` is how
    it was searched, None where only a newer client knows it.
    """

    neighbors: tuple[Neighbor, ...]
    query_words: tuple[ResolvedWord, ...]
    model: ModelVersion
    method: SearchMethod | None = None


@dataclass(frozen=True, kw_only=True)
class WordLink:
    """A word of a translation that renders a word of the source: ``text[start:end]`` of each.

    ``weight`` is the share of the word's attention that the source word got, at most 1.
    """

    source: tuple[int, int]
    target: tuple[int, int]
    weight: float


@dataclass(frozen=True, kw_only=True)
class Alignment:
    """The attention that a translation paid to its source.

    ``weights[t][s]`` is the weight of source token s when target token t was written; each of the
    T rows of S numbers sums to 1. The last token on both sides is the end of the sentence.
    ``word_links`` are the words that belong together, by the words of the translation.
    """

    source_tokens: tuple[str, ...]
    target_tokens: tuple[str, ...]
    weights: tuple[tuple[float, ...], ...]
    word_links: tuple[WordLink, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Hypothesis:
    """One possible translation.

    Attributes:
        score: what hypotheses are ranked by; comparable within one translation only.
        log_prob: natural logarithm of the probability of the tokens, given the source.
        tokens: empty unless asked for; the end of the sentence is the last.
        token_log_probs: one for each of ``tokens``.
        alignment: None unless asked for.
    """

    text: str
    score: float
    log_prob: float
    finish_reason: FinishReason
    tokens: tuple[str, ...] = ()
    token_log_probs: tuple[float, ...] = ()
    alignment: Alignment | None = None


@dataclass(frozen=True, kw_only=True)
class Translation:
    """The hypotheses for one text, best first; at least one.

    ``seed`` is what draws the same again, and None of a search; ``ensemble_models`` are those that
    were averaged with ``model``.
    """

    hypotheses: tuple[Hypothesis, ...]
    source_token_count: int
    model: ModelVersion
    seed: int | None = None
    ensemble_models: tuple[ModelVersion, ...] = ()

    @property
    def text(self) -> str:
        """The best translation."""
        return self.hypotheses[0].text


@dataclass(frozen=True, kw_only=True)
class StreamSummary:
    """What a stream of translations came to, as the server counted it.

    ``target_token_count`` is of the best translation of each text, with its end;
    ``ensemble_models`` are those that were averaged with ``model``.
    """

    model: ModelVersion
    item_count: int
    error_count: int
    source_token_count: int
    target_token_count: int
    ensemble_models: tuple[ModelVersion, ...] = ()


@dataclass(frozen=True, kw_only=True)
class TokenScore:
    """A token of a scored text; ``start`` and ``end`` are its span, in code points."""

    token: str
    log_prob: float
    start: int
    end: int


@dataclass(frozen=True, kw_only=True)
class TextScore:
    """How probable a text is to a language model.

    Attributes:
        log_prob: natural logarithm of its probability, given its context.
        perplexity: per token; None where no token was scored.
        word_perplexity: per word; None for a text without words.
        bits_per_character: None for the empty text.
        unknown_token_count: tokens that the vocabulary lacks.
        tokens: empty unless asked for.
    """

    log_prob: float
    token_count: int
    word_count: int
    character_count: int
    unknown_token_count: int
    perplexity: float | None
    word_perplexity: float | None
    bits_per_character: float | None
    tokens: tuple[TokenScore, ...]
    model: ModelVersion


@dataclass(frozen=True, kw_only=True)
class GenerationStarted:
    """The first event of a generation; ``seed`` is None with beam search."""

    model: ModelVersion
    prompt_token_count: int
    seed: int | None


@dataclass(frozen=True, kw_only=True)
class GenerationChunk:
    """The next piece of one sample's text, in whole characters; tokens only where asked for."""

    sample_index: int
    text: str
    tokens: tuple[str, ...] = ()
    token_log_probs: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class GenerationFinished:
    """The end of one sample; ``score`` is what beam search ranks by, and else None."""

    sample_index: int
    finish_reason: FinishReason
    token_count: int
    log_prob: float
    score: float | None


GenerationEvent = GenerationStarted | GenerationChunk | GenerationFinished


@dataclass(frozen=True, kw_only=True)
class MetricScore:
    """A score with sacreBLEU's signature, which makes it reproducible."""

    score: float
    signature: str


@dataclass(frozen=True, kw_only=True)
class TranslationScores:
    """BLEU and chrF (0 to 100) and TER (percent) of a corpus; None where not asked for."""

    bleu: MetricScore | None
    chrf: MetricScore | None
    ter: MetricScore | None
    segment_count: int


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """One version of one model in the server.

    Attributes:
        current: whether it answers the calls that name no version.
        pinned: whether no other version may answer those.
        aliases: other names under which calls may name it.
        failure_reason: why loading failed; of a READY version, why its folder, which has changed
            since, was refused. Empty otherwise.
        services: full names of the services that it answers.
        default_for: those for which it answers the calls that name no model.
        size_bytes: of the bundle on disk.
        vocabulary_size, dimensions: None where the model has none.
        metrics: measured quality by name, such as ``test.bleu``.
        load_time: when it became READY; None unless it is.
        load_seconds: how long loading took; None unless it is READY.
    """

    name: str
    version: int
    family: str
    state: ModelState
    failure_reason: str
    current: bool
    pinned: bool
    aliases: tuple[str, ...]
    services: tuple[str, ...]
    default_for: tuple[str, ...]
    description: str
    license: str
    source_languages: tuple[str, ...]
    target_languages: tuple[str, ...]
    size_bytes: int
    parameter_count: int
    vocabulary_size: int | None
    dimensions: int | None
    metrics: Mapping[str, float]
    load_time: datetime | None
    load_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class ModelCard:
    """One model in full: ``card`` is Markdown; ``labels`` are the classes of a classifier."""

    info: ModelInfo
    card: str
    labels: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModelPage:
    """One page of a list of models; ``next_page_token`` is empty on the last."""

    models: tuple[ModelInfo, ...]
    next_page_token: str

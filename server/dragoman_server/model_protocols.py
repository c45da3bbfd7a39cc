"""The models as the services see them; a test can pass in a fake one of the same shape."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if (
    TYPE_CHECKING
):  # the real ones import torch, which takes seconds that the open port need not wait
    from dragoman_models.embeddings.word_vectors import (
        AnalogyMethod,
        AnalogyQuestion,
        EmbeddedWord,
        NearestQuery,
        Neighbors,
        SearchOptions,
        WordLookup,
        WordSimilarity,
    )
    from dragoman_models.errors import DragomanError
    from dragoman_models.language_model.completion import Completion, CompletionOptions
    from dragoman_models.language_model.scoring import TextScore, TextToScore
    from dragoman_models.search.length_normalization import LengthNormalization
    from dragoman_models.translation.hypothesis import Hypothesis
    from dragoman_models.translation.translation_options import TranslationOptions
    from dragoman_server.generation_loop import ContinuationEngine


class WordVectorModel(Protocol):
    """What EmbeddingService needs; each method answers every item by a value or by its error."""

    @property
    def vocabulary_size(self) -> int: ...

    @property
    def dimensions(self) -> int: ...

    def suggestions(self, word: str, *, count: int = ...) -> tuple[str, ...]:
        """Entries that are spelt like a word that is not in the vocabulary, the closest first."""
        ...

    def embed(
        self, words: Sequence[str], *, normalize: bool = False, lookup: "WordLookup" = ...
    ) -> "list[EmbeddedWord | DragomanError]": ...

    def similarity(
        self, pairs: Sequence[tuple[str, str]], *, lookup: "WordLookup" = ...
    ) -> "list[WordSimilarity | DragomanError]": ...

    def nearest(
        self, queries: "Sequence[NearestQuery]", options: "SearchOptions | None" = None
    ) -> "list[Neighbors | DragomanError]": ...

    def analogy(
        self,
        questions: "Sequence[AnalogyQuestion]",
        options: "SearchOptions | None" = None,
        method: "AnalogyMethod" = ...,
    ) -> "list[Neighbors | DragomanError]": ...


class TranslationModel(Protocol):
    """What TranslationService needs."""

    def source_tokens(self, text: str, *, split_sentences: bool = False) -> tuple[str, ...]:
        """The source's tokens, the end-of-sentence token last; alone where the text holds none. Of
        a text that is split, those of each sentence in turn."""
        ...

    def ensemble_with(self, others: "Sequence[Any]") -> "TranslationModel":
        """The mean of this model and others like it."""
        ...

    def translate(
        self,
        sources: Sequence[str],
        options: "TranslationOptions",
        *,
        prefixes: Sequence[str] | None = None,
        required_phrases: Sequence[Sequence[str]] | None = None,
        banned_phrases: Sequence[Sequence[str]] | None = None,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[tuple[Hypothesis, ...]]":
        """Hypotheses for each source, best first. `cancelled` is asked at each decoding step."""
        ...

    def score_targets(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        normalization: "LengthNormalization" = ...,
        length_penalty: float = ...,
        cancelled: Callable[[], bool] = ...,
    ) -> "list[Hypothesis]":
        """The target of each pair of source and target as a hypothesis, with its attention."""
        ...


class TextModel(Protocol):
    """What LanguageModelService needs."""

    def score(
        self,
        items: "Sequence[TextToScore]",
        *,
        exclude_end: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> "list[TextScore]":
        """A score for each text. `cancelled` is asked every few hundred tokens."""
        ...

    def complete(
        self,
        prompt: str,
        options: "CompletionOptions",
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> "list[Completion]":
        """Continuations, best first. `cancelled` is asked at each step."""
        ...

    def prompt_tokens(self, prompt: str) -> list[int]:
        """The prompt as an engine reads it, with one token before it."""
        ...

    def token_text(self, token: int) -> str:
        """A token as the vocabulary writes it."""
        ...

    def engine(self) -> "ContinuationEngine":
        """An empty batch of continuations, for one thread."""
        ...

"""The models as the services see them; a test can pass in a fake one of the same shape."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

if (
    TYPE_CHECKING
):  # the real ones import torch, which takes seconds that the open port need not wait
    import numpy as np
    from numpy.typing import NDArray

    from dragoman_models.embeddings.word_lookup import WordLookup
    from dragoman_models.embeddings.word_queries import (
        AnalogyMethod,
        AnalogyQuestion,
        EmbeddedWord,
        NearestQuery,
        Neighbors,
        SearchOptions,
        WordSimilarity,
    )
    from dragoman_models.errors import DragomanError
    from dragoman_models.language_model.completion_options import Completion, CompletionOptions
    from dragoman_models.language_model.text_scores import TextScore, TextToScore
    from dragoman_models.search.length_normalization import LengthNormalization
    from dragoman_models.translation.hypothesis import Hypothesis
    from dragoman_models.translation.translation_options import TranslationOptions
    from dragoman_models.vision.results import (
        ClassProbability,
        DetectedObject,
        DetectionOptions,
        RgbImage,
    )
    from dragoman_server.encoded_images import ImageComparison, ImageModelFacts, ImageObjects
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


class ImageClassifier(Protocol):
    """A loaded model of the family "image_classifier"."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def classify(
        self, images: "Sequence[RgbImage]", *, top_k: int = 5
    ) -> "list[list[ClassProbability]]":
        """The classes of each image, most probable first; all, where there are fewer."""
        ...


class ObjectDetector(Protocol):
    """A loaded model of the family "object_detector"."""

    @property
    def labels(self) -> tuple[str, ...]: ...

    def detect(
        self, images: "Sequence[RgbImage]", options: "DetectionOptions"
    ) -> "list[list[DetectedObject]]":
        """The objects of each image, highest score first, their boxes in its own pixels."""
        ...


class ImageEmbedder(Protocol):
    """A loaded model of the family "image_embedder"."""

    @property
    def dimensions(self) -> int: ...

    @property
    def threshold(self) -> float:
        """The greatest distance of two images that show the same, as it was calibrated."""
        ...

    def embed(self, images: "Sequence[RgbImage]") -> "NDArray[np.float32]":
        """Vectors of length 1: (images, dimensions)."""
        ...

    def distance(self, first: "NDArray[np.float32]", second: "NDArray[np.float32]") -> float:
        """The Euclidean distance of two vectors, 0 to 2."""
        ...


class ServedImageModel(Protocol):
    """What is known of a model of images without asking it to look at one."""

    def facts(self) -> "ImageModelFacts": ...


class ServedClassifier(ServedImageModel, Protocol):
    """What Classify needs; contents are those of files, and each fails alone."""

    def classify(
        self,
        contents: Sequence[bytes],
        *,
        top_k: int,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[list[ClassProbability] | DragomanError]":
        """The classes of each image. `cancelled` is asked before each is decoded."""
        ...


class ServedDetector(ServedImageModel, Protocol):
    """What Detect needs."""

    def detect(
        self,
        contents: Sequence[bytes],
        options: "DetectionOptions",
        *,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[ImageObjects | DragomanError]":
        """The objects of each image, with its size."""
        ...


class ServedEmbedder(ServedImageModel, Protocol):
    """What EmbedImage and Verify need."""

    def embed(
        self, contents: Sequence[bytes], *, cancelled: Callable[[int], bool] | None = None
    ) -> "list[NDArray[np.float32] | DragomanError]":
        """The vector of each image."""
        ...

    def verify(
        self,
        pairs: Sequence[tuple[bytes, bytes]],
        *,
        threshold: float | None = None,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[ImageComparison | DragomanError]":
        """How far the two images of each pair are apart; None is the model's own threshold."""
        ...

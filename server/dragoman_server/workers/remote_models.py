"""Models in worker processes, as the services see them: with the methods of the models themselves.

What only needs the vocabulary is answered in the server's own process.
"""

import copy
import weakref
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from dragoman_server.workers.messages import Call, Cancelling
from dragoman_server.workers.model_pool import ModelPool
from dragoman_server.workers.wanted import Wanted

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from dragoman_models.errors import DragomanError
    from dragoman_models.language_model.completion_options import Completion, CompletionOptions
    from dragoman_models.language_model.text_scores import TextScore, TextToScore
    from dragoman_models.language_model.text_vocabulary import TextVocabulary
    from dragoman_models.search.length_normalization import LengthNormalization
    from dragoman_models.translation.hypothesis import Hypothesis
    from dragoman_models.translation.translation_options import TranslationOptions
    from dragoman_models.translation.translator_texts import TranslatorTexts
    from dragoman_models.vision.results import ClassProbability, DetectionOptions
    from dragoman_server.encoded_images import ImageComparison, ImageModelFacts, ImageObjects
    from dragoman_server.generation_loop import ContinuationEngine


class _RemoteModel:
    """A model of the pool, which is removed from it with the last reference to this one."""

    def __init__(self, pool: ModelPool, number: int) -> None:
        self._pool = pool
        self._number = number
        self._keep: object = None
        weakref.finalize(self, pool.remove, number).atexit = False

    def _call_each(
        self, method: str, arguments: Sequence[Any], count: int,
        cancelled: Callable[[int], bool] | None, **options: Any,
    ) -> Any:  # fmt: skip
        """Call a method of `count` items that asks for each whether it is still wanted."""
        wanted = None if cancelled is None else Wanted(count, cancelled)
        return self._send(method, arguments, options, Cancelling.EACH, wanted)

    def _call_whole(
        self, method: str, arguments: Sequence[Any], cancelled: Callable[[], bool] | None,
        **options: Any,
    ) -> Any:  # fmt: skip
        """Call a method that asks whether all of it is still wanted."""
        wanted = None if cancelled is None else Wanted(1, lambda _: cancelled())
        return self._send(method, arguments, options, Cancelling.WHOLE, wanted)

    def _send(
        self, method: str, arguments: Sequence[Any], options: dict[str, Any],
        cancelling: Cancelling, wanted: Wanted | None,
    ) -> Any:  # fmt: skip
        call = Call(
            model=self._number, method=method, arguments=arguments, options=options,
            partners=self._partner_numbers(),
            cancelling=Cancelling.NOT if wanted is None else cancelling,
        )  # fmt: skip
        return self._pool.call(self._number, call, wanted)

    def _partner_numbers(self) -> tuple[int, ...]:
        return ()


class RemoteTranslator(_RemoteModel):
    """A translator in worker processes."""

    def __init__(self, pool: ModelPool, number: int, texts: "TranslatorTexts") -> None:
        """Args: texts: what can be said here."""
        super().__init__(pool, number)
        self._texts = texts
        self._partners: tuple[RemoteTranslator, ...] = ()

    def source_tokens(self, text: str, *, split_sentences: bool = False) -> tuple[str, ...]:
        """As `Translator.source_tokens`."""
        return self._texts.source_tokens(text, split_sentences=split_sentences)

    def ensemble_with(self, others: "Sequence[RemoteTranslator]") -> "RemoteTranslator":
        """As `Translator.ensemble_with`."""
        self._texts.check_alike([other._texts for other in others])
        # A copy is no finalizer's object: it keeps this model and its partners in the pool.
        ensemble = copy.copy(self)
        ensemble._keep = self
        ensemble._partners = (*self._partners, *others)
        return ensemble

    def translate(
        self,
        sources: Sequence[str],
        options: "TranslationOptions",
        *,
        cancelled: Callable[[int], bool] | None = None,
        **of_sources: "Sequence[Any] | None",
    ) -> "list[tuple[Hypothesis, ...]]":
        """As `Translator.translate`; ``of_sources`` are prefixes and phrases."""
        found: list[tuple[Hypothesis, ...]] = self._call_each(
            "translate", (list(sources), options), len(sources), cancelled, **of_sources
        )
        return found

    def score_targets(
        self,
        pairs: Sequence[tuple[str, str]],
        *,
        cancelled: Callable[[], bool] | None = None,
        **options: "LengthNormalization | float",
    ) -> "list[Hypothesis]":
        """As `Translator.score_targets`."""
        found: list[Hypothesis] = self._call_whole(
            "score_targets", (list(pairs),), cancelled, **options
        )
        return found

    def _partner_numbers(self) -> tuple[int, ...]:
        return tuple(partner._number for partner in self._partners)


class RemoteLanguageModel(_RemoteModel):
    """A language model in worker processes."""

    def __init__(self, pool: ModelPool, number: int, vocabulary: "TextVocabulary") -> None:
        super().__init__(pool, number)
        self._vocabulary = vocabulary

    def score(
        self,
        items: "Sequence[TextToScore]",
        *,
        exclude_end: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> "list[TextScore]":
        """As `LanguageModel.score`."""
        found: list[TextScore] = self._call_whole(
            "score", (list(items),), cancelled, exclude_end=exclude_end
        )
        return found

    def complete(
        self,
        prompt: str,
        options: "CompletionOptions",
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> "list[Completion]":
        """As `LanguageModel.complete`."""
        found: list[Completion] = self._call_whole("complete", (prompt, options), cancelled)
        return found

    def prompt_tokens(self, prompt: str) -> list[int]:
        """As `LanguageModel.prompt_tokens`."""
        from dragoman_models.language_model.text_vocabulary import prompt_tokens

        return prompt_tokens(self._vocabulary, prompt)

    def token_text(self, token: int) -> str:
        """As `LanguageModel.token_text`."""
        return self._vocabulary.token_text(token)

    def engine(self) -> "ContinuationEngine":
        """As `LanguageModel.engine`; it lives in one process, and ends with it."""
        return self._pool.engine(self._number, keep=self)


class RemoteImageModel(_RemoteModel):
    """A model of images in a worker process, which also decodes them; it has the methods of all
    three families, of which the model there has those of its own."""

    def __init__(self, pool: ModelPool, number: int) -> None:
        super().__init__(pool, number)
        self._facts: ImageModelFacts = self._call_whole("facts", (), None)

    def facts(self) -> "ImageModelFacts":
        """As the model's own."""
        return self._facts

    def classify(
        self,
        contents: Sequence[bytes],
        *,
        top_k: int,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[list[ClassProbability] | DragomanError]":
        """As `EncodedClassifier.classify`."""
        found: list[list[ClassProbability] | DragomanError] = self._call_each(
            "classify", (list(contents),), len(contents), cancelled, top_k=top_k
        )
        return found

    def detect(
        self,
        contents: Sequence[bytes],
        options: "DetectionOptions",
        *,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[ImageObjects | DragomanError]":
        """As `EncodedDetector.detect`."""
        found: list[ImageObjects | DragomanError] = self._call_each(
            "detect", (list(contents), options), len(contents), cancelled
        )
        return found

    def embed(
        self, contents: Sequence[bytes], *, cancelled: Callable[[int], bool] | None = None
    ) -> "list[NDArray[np.float32] | DragomanError]":
        """As `EncodedEmbedder.embed`."""
        found: list[NDArray[np.float32] | DragomanError] = self._call_each(
            "embed", (list(contents),), len(contents), cancelled
        )
        return found

    def verify(
        self,
        pairs: Sequence[tuple[bytes, bytes]],
        *,
        threshold: float | None = None,
        cancelled: Callable[[int], bool] | None = None,
    ) -> "list[ImageComparison | DragomanError]":
        """As `EncodedEmbedder.verify`."""
        found: list[ImageComparison | DragomanError] = self._call_each(
            "verify", (list(pairs),), len(pairs), cancelled, threshold=threshold
        )
        return found

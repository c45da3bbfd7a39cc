"""The language model as it is served: scores texts, continues prompts."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dragoman_models.language_model.completion import complete
from dragoman_models.language_model.completion_options import Completion, CompletionOptions
from dragoman_models.language_model.generation_engine import GenerationEngine
from dragoman_models.language_model.network import LanguageModelNetwork
from dragoman_models.language_model.scoring import score_texts
from dragoman_models.language_model.text_scores import TextScore, TextToScore
from dragoman_models.language_model.text_vocabulary import TextVocabulary, prompt_tokens


class LanguageModel:
    """A trained network with its vocabulary. Its methods are safe to call from several threads;
    an engine belongs to the thread that steps it."""

    def __init__(
        self, network: LanguageModelNetwork, vocabulary: TextVocabulary, *, language: str
    ) -> None:
        self.network = network.eval().requires_grad_(False)
        self.vocabulary = vocabulary
        self.language = language

    def score(
        self,
        items: Sequence[TextToScore],
        *,
        exclude_end: bool = False,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[TextScore]:
        """See `scoring.score_texts`."""
        return score_texts(
            self.network, self.vocabulary, items, exclude_end=exclude_end, cancelled=cancelled
        )

    def complete(
        self,
        prompt: str,
        options: CompletionOptions,
        *,
        cancelled: Callable[[], bool] | None = None,
    ) -> list[Completion]:
        """See `completion.complete`."""
        return complete(self.network, self.vocabulary, prompt, options, cancelled=cancelled)

    def prompt_tokens(self, prompt: str) -> list[int]:
        """What an engine reads of a prompt: its tokens, and one before them."""
        return prompt_tokens(self.vocabulary, prompt)

    def token_text(self, token: int) -> str:
        """The token as the vocabulary writes it."""
        return self.vocabulary.token_text(token)

    def engine(self) -> GenerationEngine:
        """A new batch of continuations, empty."""
        return GenerationEngine(self.network, self.vocabulary)

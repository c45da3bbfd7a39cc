"""What a translator knows without its network: its languages, and how it cuts texts into pieces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_models.tokenizer import EOS, SubwordTokenizer
from dragoman_models.translation.sentence_splitting import split_sentences as split_text


@dataclass(frozen=True, kw_only=True)
class TranslatorTexts:
    """For those who have the network elsewhere, too."""

    tokenizer: SubwordTokenizer
    source_language: str
    target_language: str

    def source_tokens(self, text: str, *, split_sentences: bool = False) -> tuple[str, ...]:
        """The source pieces that attention refers to, eos last, or of each sentence in turn."""
        sentences = split_text(text).sentences if split_sentences else (text,)
        # A sentence without anything to read is not translated: to the others it is spacing.
        encoded = [ids for one in sentences if (ids := self.tokenizer.encode(one))] or [[]]
        return self.tokenizer.pieces([id_ for ids in encoded for id_ in (*ids, EOS)])

    def check_alike(self, others: Sequence[TranslatorTexts]) -> None:
        """Raises `InvalidInputError` where one cannot be in an ensemble with this one: it has
        another vocabulary or other languages."""
        problems = [(i, self._unlike(other)) for i, other in enumerate(others)]
        violations = [
            FieldViolation(field=f"ensemble_models[{i}]", description=problem)
            for i, problem in problems
            if problem
        ]
        if violations:
            raise InvalidInputError(violations)

    def _unlike(self, other: TranslatorTexts) -> str:
        """Why the other cannot be in an ensemble with this one; empty where it can."""
        languages = (self.source_language, self.target_language)
        theirs = (other.source_language, other.target_language)
        if theirs != languages:
            own, its = "-".join(languages), "-".join(theirs)
            return f"translates {its}, but the first model {own}; give models of the same languages"
        if other.tokenizer.model_bytes != self.tokenizer.model_bytes:
            return (
                "has another vocabulary than the first model (their tokenizer.model files differ); "
                "give models that were trained with the same one"
            )
        return ""

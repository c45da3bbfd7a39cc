"""The text of papers on Multi30k: lowercased, punctuation normalized, tokenized as Moses does."""

from __future__ import annotations

from typing import Literal

from dragoman_models.errors import TrainingError

Preparation = Literal["none", "moses_lowercase"]


class MosesText:
    """Lowercase, then normalize punctuation, then tokenize, in the order of the script
    `task1-tokenize.sh` that Multi30k's authors give, by sacremoses: ``str.lower()``,
    ``MosesPunctNormalizer(lang).normalize``, ``MosesTokenizer(lang).tokenize`` with its defaults
    (hyphens are not split, and & < > ' " [ ] | are written as entities).
    """

    def __init__(self, language: str) -> None:
        """Args: language: such as de; what follows a hyphen is disregarded (de-CH).

        Raises:
            TrainingError: sacremoses is missing.
        """
        try:
            from sacremoses import MosesDetokenizer, MosesPunctNormalizer, MosesTokenizer
        except ImportError as error:
            raise TrainingError(
                "sacremoses is missing, which tokenizes as Moses does: pip install dragoman[train]"
            ) from error
        name = language.split("-")[0].lower()
        self._normalizer = MosesPunctNormalizer(lang=name)
        self._tokenizer = MosesTokenizer(lang=name)
        self._detokenizer = MosesDetokenizer(lang=name)

    def prepare(self, text: str) -> str:
        """Tokens, joined by blanks."""
        normal = self._normalizer.normalize(text.lower())
        return str(self._tokenizer.tokenize(normal, return_str=True))

    def plain(self, tokens: str) -> str:
        """The text of tokens, still in lower case."""
        return str(self._detokenizer.detokenize(tokens.split()))

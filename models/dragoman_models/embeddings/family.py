"""The family "word-vectors": what turns a bundle into word vectors."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dragoman_models.bundle import Bundle

if TYPE_CHECKING:
    from dragoman_models.embeddings.word_vectors import WordVectors

WORD_VECTORS = "word-vectors"


class WordVectorsFamily:
    """Loads word vectors; needs neither torch nor, without an index, faiss."""

    name = WORD_VECTORS

    def load(self, bundle: Bundle) -> WordVectors:
        """The vectors in ``bundle``; see `read_word_vectors`, which raises `BundleError`."""
        from dragoman_models.embeddings.word_vectors_bundle import read_word_vectors

        return read_word_vectors(bundle)  # with numba, for which only who loads vectors pays

"""Writes the benchmark's sources: 1,000 texts of exactly 15 pieces each, and the vocabulary."""

from __future__ import annotations

import json
import random
from pathlib import Path

from dragoman_models.tokenizer import SubwordTokenizer

TOKENIZER = Path(__file__).parents[3] / "models/dragoman_models/pretrained/en-de/1/tokenizer.model"
SENTENCES, PIECES = 1000, 15
_BLANK = "\u2581"


def write_sources(tokenizer: SubwordTokenizer, path: Path) -> None:
    """Words are drawn from the vocabulary's own, so that each is one piece."""
    pieces = tokenizer.pieces(range(tokenizer.vocabulary_size))
    words = [one[1:] for one in pieces if one.startswith(_BLANK) and one[1:].isalpha()]
    rng = random.Random(0)
    sources: list[tuple[str, list[str]]] = []
    while len(sources) < SENTENCES:
        text = " ".join(rng.choice(words) for _ in range(PIECES))
        ids = tokenizer.encode(text)
        if len(ids) == PIECES:
            sources.append((text, list(tokenizer.pieces(ids))))
    data = {"vocabulary": list(pieces), "sources": sources}
    path.write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")

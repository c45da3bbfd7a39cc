"""From text files to a vocabulary and a file of word indices, with phrases joined if asked for."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from rich.progress import Progress

from dragoman_models.embeddings.training.encoded_text import TextIndex, rewrite_ids
from dragoman_models.embeddings.training.phrases import find_phrases, join_phrases
from dragoman_models.embeddings.training.recipe import CorpusRecipe
from dragoman_models.embeddings.training.run_folder import RunFolder
from dragoman_models.embeddings.training.text_stream import corpus_files, read_tokens
from dragoman_models.embeddings.training.word_counts import (
    WordCounts,
    merged_counts,
    select_words,
)


def prepare_text(
    recipe: CorpusRecipe, run: RunFolder, bar: Progress, *, known: WordCounts | None = None
) -> WordCounts:
    """Counts and encodes the text into `run.text`, unless that has been done.

    `known` is the vocabulary of training that is being continued: its words stay, whether they are
    in this text or not, and the counts are added up. Raises `TrainingError`.
    """
    if run.has_words:
        return run.read_words()
    always = frozenset(known.words if known else ())
    words = _encode(recipe, run, bar, always)
    for number in range(1, recipe.phrase_passes + 1):
        task = bar.add_task(f"phrases, pass {number}", total=None, status="")
        phrases = find_phrases(
            run.text,
            words,
            discount=recipe.phrase_discount,
            threshold=recipe.phrase_threshold,
            megabytes=recipe.megabytes,
        )
        words = join_phrases(run.text, words, phrases, min_count=recipe.min_count, always=always)
        bar.update(task, total=1, completed=1, status=f"{len(phrases):,} pairs joined")
    words = _limit(words, recipe.max_words, run, known)
    run.write_words(words)
    return words


def _encode(
    recipe: CorpusRecipe, run: RunFolder, bar: Progress, always: frozenset[str]
) -> WordCounts:
    """The text as indices, those of unknown words among them."""
    files = corpus_files(recipe.corpus)
    task = bar.add_task("reading text", total=sum(f.stat().st_size for f in files), status="")
    numbered = run.path / "numbered.i32"
    index = TextIndex()
    tokens = read_tokens(files, recipe.tokenization, lambda size: bar.advance(task, size))
    index.write(numbered, tokens)
    words = select_words(
        index.counts(), min_count=recipe.min_count, text_words=index.text_words, always=always
    )
    indices = index.indices({word: i for i, word in enumerate(words.words)})
    rewrite_ids(numbered, run.text, indices, keep_unknown=True)
    numbered.unlink()
    bar.update(task, status=f"{words.text_words:,} words, {len(words.words):,} different")
    return words


def _limit(
    words: WordCounts, max_words: int | None, run: RunFolder, known: WordCounts | None
) -> WordCounts:
    """Leaves out what is beyond `max_words`, adds the known words, and drops unknown ones."""
    limited = replace(words, words=words.words[:max_words], counts=words.counts[:max_words])
    final = merged_counts(known, limited) if known else limited
    kept = set(limited.words) | set(known.words if known else ())
    position = {word: i for i, word in enumerate(final.words)}
    indices = np.array(
        [position[word] if word in kept else -2 for word in words.words], dtype=np.int32
    )
    before = run.text.with_suffix(".before")
    run.text.replace(before)
    rewrite_ids(before, run.text, indices, keep_unknown=False)
    before.unlink()
    return final

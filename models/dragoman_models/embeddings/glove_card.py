"""The card of a bundle of GloVe vectors, filled in with what was measured."""

from collections.abc import Mapping
from string import Template
from typing import Any

_CARD = Template("""\
# $name: English word vectors (GloVe 6B, $dimensions dimensions)

The vectors of the $words most frequent of the words below, for cosine similarity, nearest words and
analogies. The words are lowercase; Dragoman looks a word up as it is written and then, as a stated
fallback, in lowercase.

## Origin and licence

- Vectors: GloVe 6B, trained by Stanford NLP on Wikipedia 2014 and Gigaword 5 (6 billion tokens).
  Public Domain Dedication and License 1.0 (PDDL-1.0).
- Read from: $origin
  (SHA-256 of the file: `$source_sha256`).
- Please cite: Jeffrey Pennington, Richard Socher and Christopher D. Manning. 2014. GloVe: Global
  Vectors for Word Representation. EMNLP 2014.

Dragoman did not train these vectors. It kept the first $words of the source's $source_words words,
which stand in order of frequency, and stored them as `$encoding`.

## Files

- `vocabulary.txt`: one word a line, UTF-8, most frequent first; line n is row n of the vectors.
- `weights.safetensors`: `vectors`, int8 or int16 codes ($words x $dimensions), and `scales`, one
  float32 a row; the vector of a row is its codes times its scale.
- `config.json`, `metrics.json`, `SHA256SUMS`.

## Measured

Google analogies: questions-words.txt, 3CosAdd, case folded, the three words of the question left
out; accuracy is over the covered questions, those with all four words in the vocabulary. Word
similarity: Spearman's correlation over the covered pairs.

$figures

By section, as shipped:

$sections

## Limits

- English newswire and encyclopaedia text up to 2014: later words, names and senses are absent or
  out of date. One vector a word form: senses are not told apart.
- $source_limits
- The vectors carry the biases of their text, among them stereotypes of gender, origin and religion;
  nearest words and analogies repeat them. Do not base decisions about people on them.
- Cosine measures relatedness more than likeness of meaning: antonyms are often near.

## How this bundle was made

    $command

The same source, options and library versions give the same bytes.
""")


def glove_card(facts: Mapping[str, object], metrics: Mapping[str, Any]) -> str:
    """The card; `facts` fills the placeholders that `metrics` does not."""
    return _CARD.substitute(
        facts,
        command=metrics["command"],
        figures=_figures(metrics),
        sections=_sections(metrics["shipped"].get("google_analogies")),
    )


def _figures(metrics: Mapping[str, Any]) -> str:
    rows = ["| vectors | set | covered | figure |", "|---|---|---|---|"]
    for vectors in ("source_float32", "kept_float32", "shipped"):
        for name, figures in metrics[vectors].items():
            if not isinstance(figures, Mapping):
                continue
            covered = f"{figures['covered']:,} of {figures['items']:,}"
            if "accuracy" in figures:
                value = f"{100 * figures['accuracy']:.2f} % right"
            else:
                value = f"rho {figures['spearman']:.4f}"
            words = f"{metrics[vectors]['words']:,} words"
            rows.append(f"| {vectors} ({words}) | {name} | {covered} | {value} |")
    return "\n".join(rows)


def _sections(analogies: Mapping[str, Any] | None) -> str:
    if analogies is None:
        return "Not measured."
    rows = ["| section | covered | right |", "|---|---|---|"]
    for name, figures in analogies["sections"].items():
        covered = f"{figures['covered']:,} of {figures['items']:,}"
        rows.append(f"| {name} | {covered} | {100 * figures['accuracy']:.1f} % |")
    return "\n".join(rows)

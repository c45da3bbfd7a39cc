"""The card of a bundle of imported word vectors."""

from collections.abc import Mapping
from string import Template

_CARD = Template("""\
# $name: imported word vectors

$words words, $dimensions dimensions, stored as `$encoding`; for cosine similarity, nearest words
and analogies.

## Origin and licence

- Read from the file `$file`. Origin: $origin.
- Licence: $license.

Dragoman did not train these vectors. Words that stood in the file a second time and were left out:
$dropped. Subwords, for unknown words: $subwords. Index for approximate search: $index.

## Limits

- Not measured here: `dragoman evaluate-vectors` measures similarity and analogy sets.
- Words that the file lacks are unknown, unless subwords give them a vector. One vector a word form:
  senses are not told apart.
- Vectors carry the biases of the text they were trained on; nearest words and analogies repeat
  them. Do not base decisions about people on them.
""")


def import_card(facts: Mapping[str, object]) -> str:
    """The card; `facts` fills every placeholder."""
    return _CARD.substitute(facts)

"""The card of a language model's bundle: data, licence, attribution, figures, limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dragoman_models.language_model.evaluation import TextFigures
from dragoman_models.language_model.recipe import LanguageModelRecipe
from dragoman_models.training_data import TrainingData


@dataclass(frozen=True, kw_only=True)
class TextData(TrainingData):
    """What a language model was trained and tested on."""

    test: str


_CARD = """\
# {name}: language model, {language}

A recurrent network that predicts the next token of a text, {parameters:,} parameters, stored in 16
bits: embedding of {embedding_size}, {layers} layers of {cell} ({units} units), output weights
{tied}, a vocabulary of {vocabulary_size:,} {vocabulary}.

## Data, licence and attribution

- Trained on: {data}
- Licence of the data: {license}
- Attribution: {attribution}
- Tested on: {test}

## Measured

With the 16-bit weights as shipped, the state carried from the first token of the test text to its
last. Words are divided by white space, and each line's end counts as one more word, character and
token. {unknown}

| test text | perplexity per token | per word | bits per character |
|---|---|---|---|
{figures}

| epoch | train loss | validation loss | validation perplexity |
|---|---|---|---|
{curve}

Losses are nats per token; in training with dropout.

## Limits

- It writes like its training text and knows nothing of the world but what stands there. What it
  generates is fluent in short stretches and false in matters of fact; do not rely on it.
- It repeats the biases and the words of its text, also those that hurt.
- Its memory is the state of its layers: it forgets what lies some dozens of words back.

## How this bundle was made

{commands}
"""

_KINDS = {"words": "words", "characters": "characters", "subwords": "subword pieces with bytes"}


def language_model_card(
    *,
    name: str,
    recipe: LanguageModelRecipe,
    vocabulary_size: int,
    parameters: int,
    figures: Mapping[str, TextFigures],
    curve: Sequence[Mapping[str, str]],
    data: TextData,
    commands: Sequence[str],
) -> str:
    """CARD.md."""
    network = recipe.network
    unknown = figures["plain"].unknown_tokens
    return _CARD.format(
        name=name,
        language=recipe.language,
        parameters=parameters,
        embedding_size=network.embedding_size,
        layers=network.layers,
        cell=network.cell.upper().replace("_", " "),
        units=", ".join(str(units) for _, units in network.layer_sizes()),
        tied="tied to the embedding" if network.tie_weights else "of their own",
        vocabulary_size=vocabulary_size,
        vocabulary=_KINDS[recipe.vocabulary],
        data=data.description,
        license=data.license,
        attribution=data.attribution,
        test=data.test,
        unknown=f"{unknown:,} tokens are unknown and count with the unknown token's probability."
        if unknown
        else "No token of it is unknown.",
        figures="\n".join(
            f"| {how} | {one.perplexity:.2f} | {one.word_perplexity:.2f} | "
            f"{one.bits_per_character:.3f} |"
            for how, one in figures.items()
        ),
        curve="\n".join(
            f"| {row['epoch']} | {float(row['train_loss']):.3f} | {float(row['valid_loss']):.3f} | "
            f"{float(row['valid_perplexity']):.2f} |"
            for row in curve
        ),
        commands="\n".join(f"    {one}" for one in commands),
    )

"""The card of a translation bundle: data, licence, attribution, figures and limits in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dragoman_models.training_data import TrainingData
from dragoman_models.translation.recipe import TranslationRecipe


@dataclass(frozen=True, kw_only=True)
class RunFigures:
    """What was measured: BLEU by beam width (0 to 100), shares that survived (0 to 1)."""

    dev_bleu: Mapping[str, float]
    test_bleu: Mapping[str, float]
    survival: Mapping[str, float]
    signature: str
    curve: list[dict[str, float]]

    def as_metrics(self) -> dict[str, Any]:
        """The content of metrics.json."""
        return {
            "test_bleu": dict(self.test_bleu),
            "dev_bleu": dict(self.dev_bleu),
            "entity_survival": dict(self.survival),
            "bleu_signature": self.signature,
            "learning_curve": self.curve,
        }


_CARD = """\
# {name}: {source} to {target} translation

A recurrent encoder-decoder with attention, {parameters:,} parameters, stored as `{encoding}`:
{layers}-layer bidirectional {cell} encoder ({encoder_size} units a direction), {attention}
attention, {cell} decoder ({decoder_size} units) with input feeding, output weights tied to the
embeddings ({embedding_size}), a joint vocabulary of {vocabulary_size:,} subword pieces with byte
fallback.

## Data, licence and attribution

- Trained on: {data}
- Licence of the data: {license}
- Attribution: {attribution}

## Measured

sacreBLEU on detokenized text, with the weights rounded as shipped; signature
`{signature}`.

| set | beam 1 | beam 5 |
|---|---|---|
| dev | {dev_1} | {dev_5} |
| test | {test_1} | {test_5} |

Names, places and numbers of the probe set (none occurs in the training text, and none was invented
by the training's name substitution) that stand in the translation at beam 5. A sentence that lost
one is translated again with a stand-in for it, which `config.json` names; `known_words.txt` holds
the words of the training text, in lower case, which need none:

| kind | survive |
|---|---|
{survival}

| pass | train loss | dev loss | dev BLEU, beam 1 |
|---|---|---|---|
{curve}

Losses are nats per subword piece, without label smoothing; the training text has exchanged names
and sampled segmentations, the dev text has not. The last passes' weights were averaged. Of training
in two parts, the second's passes are shown.

## Limits

- Trained on short everyday sentences. Long sentences, several sentences at once, and the language
  of law, science or news are translated badly; translate sentence by sentence.
- A name or number may still come out changed: see the survival figures. Check what matters.
- The model can omit or invent content, and repeats the biases of its data, gender stereotypes in
  the choice of pronouns among them.

## How this bundle was made

{commands}
"""


def translation_card(
    *,
    name: str,
    recipe: TranslationRecipe,
    encoding: str,
    parameters: int,
    figures: RunFigures,
    data: TrainingData,
    commands: Sequence[str],
) -> str:
    """CARD.md."""
    network = recipe.network
    return _CARD.format(
        name=name,
        source=recipe.source_language,
        target=recipe.target_language,
        encoding=encoding,
        parameters=parameters,
        layers=network.encoder_layers,
        cell=network.cell.upper(),
        encoder_size=network.encoder_size,
        decoder_size=network.decoder_size,
        attention=network.attention,
        embedding_size=network.embedding_size,
        vocabulary_size=network.vocabulary_size,
        data=data.description,
        license=data.license,
        attribution=data.attribution,
        signature=figures.signature,
        dev_1=figures.dev_bleu["beam_1"],
        dev_5=figures.dev_bleu["beam_5"],
        test_1=figures.test_bleu["beam_1"],
        test_5=figures.test_bleu["beam_5"],
        survival="\n".join(f"| {kind} | {share:.1%} |" for kind, share in figures.survival.items()),
        curve="\n".join(
            f"| {row['pass']:.0f} | {row['train_loss']:.3f} | {row['dev_loss']:.3f} | "
            f"{row['dev_bleu']:.1f} |"
            for row in figures.curve
        ),
        commands="\n".join(f"    {command}" for command in commands),
    )

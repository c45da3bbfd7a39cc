"""How many names, places and numbers that a translator has never seen survive translation.

BLEU hardly notices a lost name, and its reader notices little else. A probe is a sentence with one
entity that is spelled alike in both languages; the entity survives if it stands in the translation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dragoman_models.errors import TrainingError
from dragoman_models.translation.entities import survives
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator


@dataclass(frozen=True, kw_only=True)
class Probe:
    """A sentence, the entity in it, and what kind of entity that is (name, place, number...)."""

    kind: str
    entity: str
    source: str


@dataclass(frozen=True, kw_only=True)
class ProbeOutcome:
    """What became of a probe's entity."""

    probe: Probe
    translation: str
    survived: bool


def read_probes(path: Path) -> list[Probe]:
    """Reads lines of kind, entity and sentence, separated by tabs.

    Raises:
        TrainingError: the file cannot be read, or a line (which is named) is not a probe.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise TrainingError(f"cannot read the probes {path}: {error}") from error
    probes = []
    for number, line in enumerate(lines, start=1):
        columns = line.split("\t")
        if len(columns) != 3 or not all(columns) or columns[1] not in columns[2]:
            raise TrainingError(
                f"{path}, line {number}: give kind, entity, and a sentence that holds the entity"
            )
        probes.append(Probe(kind=columns[0], entity=columns[1], source=columns[2]))
    if not probes:
        raise TrainingError(f"{path} holds no probes")
    return probes


def probe_translator(
    translator: Translator, probes: Sequence[Probe], options: TranslationOptions
) -> list[ProbeOutcome]:
    """Translates every probe and looks for its entity, in the order of the probes."""
    answers = translator.translate([probe.source for probe in probes], options)
    return [
        ProbeOutcome(
            probe=probe,
            translation=answer[0].text,
            survived=survives(probe.entity, answer[0].text),
        )
        for probe, answer in zip(probes, answers, strict=True)
    ]


def survival_rates(outcomes: Sequence[ProbeOutcome]) -> dict[str, float]:
    """Share that survived, 0 to 1, of each kind and of ``all``."""
    kinds = dict.fromkeys(outcome.probe.kind for outcome in outcomes)
    groups = {kind: [o.survived for o in outcomes if o.probe.kind == kind] for kind in kinds}
    groups["all"] = [outcome.survived for outcome in outcomes]
    return {kind: round(sum(group) / len(group), 4) for kind, group in groups.items()}

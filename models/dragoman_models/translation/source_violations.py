"""What is wrong with single sources, each told by its field."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman_models.errors import FieldViolation
from dragoman_models.translation.source_task import SourceTask
from dragoman_models.translation.translation_options import TranslationOptions


def blank_sources(encoded: Sequence[Sequence[int]]) -> list[FieldViolation]:
    """Sources without any piece."""
    return [
        FieldViolation(field=f"sources[{i}]", description="is blank; give some text")
        for i, ids in enumerate(encoded)
        if not ids
    ]


def drawn_phrases(
    field: str, phrases: Sequence[str], options: TranslationOptions
) -> list[FieldViolation]:
    """Phrases are rules of a search; what is drawn knows none."""
    if options.sampling is None or not phrases:
        return []
    text = "cannot be combined with sampling; leave one of them unset"
    return [FieldViolation(field=field, description=text)]


def without_translation(
    index: int, task: SourceTask, options: TranslationOptions
) -> FieldViolation:
    """Why a source has no translation."""
    _, most = options.length_limits(len(task.tokens) + 1)
    if not task.phrases.required:
        text = f"has no translation of at most {most} pieces without the banned phrases"
        advice = "raise beam_width or max_length, or ban fewer"
        return FieldViolation(field=f"sources[{index}]", description=f"{text}; {advice}")
    text = (
        f"need {task.phrases.tokens_needed()} pieces, and no translation of at most {most} was "
        "found that holds them all under the other rules; raise max_length or beam_width, or ask "
        "for less"
    )
    return FieldViolation(field=f"sources[{index}].required_phrases", description=text)


def long_prefixes(tasks: Sequence[SourceTask], options: TranslationOptions) -> list[FieldViolation]:
    """Prefixes with more pieces than their translations may have."""
    found = []
    for i, task in enumerate(tasks):
        _, most = options.length_limits(len(task.tokens) + 1)
        if len(task.prefix) > most:
            text = f"has {len(task.prefix)} pieces; it may have {most}: raise max_length"
            found.append(FieldViolation(field=f"prefixes[{i}]", description=text))
    return found

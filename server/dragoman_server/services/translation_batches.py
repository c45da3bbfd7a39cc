"""Translate and TranslateStream as work for the batcher."""

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.services.batched_items import Wanted
from dragoman_server.services.translation_job import (
    TranslatedSource,
    TranslationJob,
    TranslationSettings,
    read_tokens,
)


@dataclass(frozen=True, kw_only=True)
class SourceToTranslate:
    """A source, its path in its request, and its tokens where they were counted."""

    source: pb.TranslationSource
    root: str
    tokens: tuple[str, ...] | None


class TranslationEngine:
    """Translates sources of several calls together; each outcome is a `TranslatedSource`."""

    def __init__(self, settings: TranslationSettings) -> None:
        self._settings = settings

    def run(
        self, payloads: Sequence[SourceToTranslate], cancelled: Cancelled
    ) -> list[TranslatedSource]:
        sources = [payload.source for payload in payloads]
        roots = [payload.root for payload in payloads]
        tokens = [payload.tokens for payload in payloads]
        return TranslationJob(self._settings, sources, roots, tokens).run(cancelled)


def translation_lane(settings: TranslationSettings) -> Lane:
    """Sources for the same model with the same options may share a batch."""
    version = settings.version
    models = tuple(id(one.model) for one in (version, *settings.partners))
    return Lane(
        key=("Translate", models, str(version), settings.options_key),
        engine=TranslationEngine(settings),
        kind=f"Translate {version}",
    )


def translation_works(
    settings: TranslationSettings,
    sources: Sequence[pb.TranslationSource],
    root: str,
    wanted: Wanted = lambda: True,
) -> list[Work]:
    """The sources as items; ``{}`` in ``root`` is a source's index. None more once not wanted."""
    works = []
    for index, source in enumerate(sources):
        if not wanted():
            break
        tokens = _tokens(settings, source)
        payload = SourceToTranslate(source=source, root=root.format(index), tokens=tokens)
        count = _count(settings, tokens)
        works.append(Work(payload=payload, cost=_cost(settings, count), length=count))
    return works


def _tokens(settings: TranslationSettings, source: pb.TranslationSource) -> tuple[str, ...] | None:
    """None where the job will refuse the text for its length."""
    if len(source.text) > settings.limits.source_characters:
        return None
    return read_tokens(settings.version.model, settings.options, source)


def _count(settings: TranslationSettings, tokens: tuple[str, ...] | None) -> int:
    """Source tokens; 1 where the job will refuse the text."""
    count = len(tokens or ())
    return max(1, count) if count <= settings.limits.source_tokens else 1


def _cost(settings: TranslationSettings, tokens: int) -> int:
    """Tokens read, and those written if the translation has as many: one for each hypothesis."""
    fewest, most = settings.options.length_limits(tokens)
    return tokens + settings.options.width * min(max(tokens, fewest), most)

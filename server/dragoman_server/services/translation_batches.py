"""Translate and TranslateStream as work for the batcher."""

from collections.abc import Sequence
from dataclasses import dataclass

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.batching.option_key import option_key
from dragoman_server.services.batched_items import Wanted
from dragoman_server.services.translation_job import (
    TranslatedSource,
    TranslationJob,
    TranslationSettings,
)


@dataclass(frozen=True, kw_only=True)
class SourceToTranslate:
    """A source, and its path in its request."""

    source: pb.TranslationSource
    root: str


class TranslationEngine:
    """Translates sources of several calls together; each outcome is a `TranslatedSource`."""

    def __init__(self, settings: TranslationSettings) -> None:
        self._settings = settings

    def run(
        self, payloads: Sequence[SourceToTranslate], cancelled: Cancelled
    ) -> list[TranslatedSource]:
        sources = [payload.source for payload in payloads]
        roots = [payload.root for payload in payloads]
        return TranslationJob(self._settings, sources, roots).run(cancelled)


def translation_lane(settings: TranslationSettings) -> Lane:
    """Sources for the same model with the same options may share a batch."""
    version = settings.version
    models = tuple(id(one.model) for one in (version, *settings.partners))
    options = (option_key(settings.options), option_key(settings.asked))
    return Lane(
        key=("Translate", models, str(version), options),
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
        tokens = _token_count(settings, source.text)
        payload = SourceToTranslate(source=source, root=root.format(index))
        works.append(Work(payload=payload, cost=_cost(settings, tokens), length=tokens))
    return works


def _token_count(settings: TranslationSettings, text: str) -> int:
    """Source tokens; 1 where the job will refuse the text."""
    if len(text) > settings.limits.source_characters:
        return 1
    count = len(settings.version.model.source_tokens(text))
    return max(1, count) if count <= settings.limits.source_tokens else 1


def _cost(settings: TranslationSettings, tokens: int) -> int:
    """Tokens read, and those written if the translation has as many: one for each hypothesis."""
    fewest, most = settings.options.length_limits(tokens)
    return tokens + settings.options.width * min(max(tokens, fewest), most)

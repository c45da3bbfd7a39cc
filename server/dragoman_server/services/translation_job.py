"""Sources of one call or of several being translated, in a worker's thread."""

import re
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import InvalidInputError
from dragoman_server.config import Limits
from dragoman_server.error_status import item_status, with_root
from dragoman_server.model_protocols import TranslationModel
from dragoman_server.model_version import ModelVersion
from dragoman_server.services.hypotheses import fill_hypothesis

if TYPE_CHECKING:
    from dragoman_models.translation.hypothesis import Hypothesis
    from dragoman_models.translation.translation_options import TranslationOptions

_OF_SOURCE = re.compile(r"(sources|prefixes)\[([0-9]+)\](?:\.(.+))?")
_FIELDS = {"sources": "text", "prefixes": "target_prefix"}  # the model's names, and the API's
_FLOAT_BYTES = 4


@dataclass(frozen=True, kw_only=True)
class TranslatedSource:
    """What became of a source; ``target_token_count`` is the best hypothesis's, with its end."""

    result: pb.TranslationResult
    target_token_count: int


@dataclass(frozen=True, kw_only=True)
class TranslationSettings:
    """What holds for all sources of a call: what answers, and how; calls with an equal
    ``options_key`` ask for the same."""

    version: ModelVersion
    partners: tuple[ModelVersion, ...] = ()
    model: TranslationModel
    asked: pb.TranslationOptions
    options: "TranslationOptions"
    options_key: Hashable
    limits: Limits


class TranslationJob:
    """Translates sources; each bad one gets its own error."""

    def __init__(
        self,
        settings: TranslationSettings,
        sources: Sequence[pb.TranslationSource],
        roots: Sequence[str],
        tokens: "Sequence[tuple[str, ...] | None]",
    ) -> None:
        """Args:
        roots: where each source stands in its request.
        tokens: ``read_tokens`` of each source, or None where it was not read.
        """
        self._model = settings.model
        self._asked = settings.asked
        self._options = settings.options
        self._limits = settings.limits
        self._sources = sources
        self._roots = roots
        self._read = tokens
        self._errors: dict[int, InvalidInputError] = {}  # by index of the source
        self._tokens: dict[int, tuple[str, ...]] = {}  # of the sources that are translated

    def run(self, cancelled: Callable[[int], bool]) -> "list[TranslatedSource]":
        """What became of each source, in order; an empty result where it was ``cancelled``."""
        for index, source in enumerate(self._sources):
            self._check(index, source)
        answers = self._translate(cancelled)
        return [self._translated(index, answers) for index in range(len(self._sources))]

    def _translated(
        self, index: int, answers: "dict[int, tuple[Hypothesis, ...]]"
    ) -> "TranslatedSource":
        result = pb.TranslationResult()
        if index in self._errors:
            error = item_status(self._errors[index], self._roots[index])
            result.error.CopyFrom(error)
            return TranslatedSource(result=result, target_token_count=0)
        if not answers[index]:
            return TranslatedSource(result=result, target_token_count=0)  # cancelled
        self._fill(result.translation, self._tokens[index], answers[index])
        return TranslatedSource(result=result, target_token_count=len(answers[index][0].tokens))

    def _check(self, index: int, source: pb.TranslationSource) -> None:
        most = self._limits.source_characters
        long = "has {:,} characters; a text may have {:,}: divide it"
        if not source.text.strip():
            self._refuse(index, "is empty or blank; give some text")
        elif len(source.text) > most:
            self._refuse(index, long.format(len(source.text), most))
        elif len(source.target_prefix) > most:
            self._refuse(index, long.format(len(source.target_prefix), most), "target_prefix")
        else:
            tokens = self._read[index] or read_tokens(self._model, self._options, source)
            if len(tokens) <= 1:
                self._refuse(index, "holds no characters that can be read; give some text")
            elif len(tokens) > self._limits.source_tokens:
                most = self._limits.source_tokens
                text = f"has {len(tokens):,} tokens; a text may have {most:,}: divide it"
                self._refuse(index, text)
            elif self._alignment_bytes(tokens) > self._limits.alignment_bytes:
                self._refuse(index, self._too_long_to_align(tokens))
            else:
                self._tokens[index] = tokens

    def _translate(self, cancelled: Callable[[int], bool]) -> "dict[int, tuple[Hypothesis, ...]]":
        """The hypotheses for each good source; those that the model itself refuses are left out."""
        while self._tokens:
            indices = list(self._tokens)
            sources = [self._sources[index] for index in indices]
            try:
                found = self._model.translate(
                    [source.text for source in sources],
                    self._options,
                    prefixes=[source.target_prefix for source in sources],
                    required_phrases=[tuple(source.required_phrases) for source in sources],
                    banned_phrases=[tuple(source.banned_phrases) for source in sources],
                    cancelled=_by_position(cancelled, indices),
                )
            except InvalidInputError as error:
                self._refuse_named(error, indices)
            else:
                return dict(zip(indices, found, strict=True))
        return {}

    def _refuse_named(self, error: InvalidInputError, indices: Sequence[int]) -> None:
        """Refuse the sources that the model's error names; raise what concerns the whole call."""
        for violation in error.violations:
            named = _OF_SOURCE.fullmatch(violation.field)
            if named is None:
                raise with_root(error, "options") from error
            index = indices[int(named[2])]
            self._refuse(index, violation.description, named[3] or _FIELDS[named[1]])
            self._tokens.pop(index, None)

    def _refuse(self, index: int, description: str, field: str = "text") -> None:
        self._errors[index] = InvalidInputError.single(field, description)

    def _alignment_bytes(self, tokens: Sequence[str]) -> int:
        """The most that is kept for the alignments of one text with these source tokens."""
        options = self._options
        if not options.return_alignments:
            return 0
        # Sentences are searched one by one; what is kept of all is the whole of the n best.
        width = options.n_best if options.split_sentences else options.width
        ends = [-1, *(place for place, token in enumerate(tokens) if token == tokens[-1])]
        lengths = [last - first for first, last in pairwise(ends)]
        written = sum(options.length_limits(length)[1] + 1 for length in lengths)
        return len(tokens) * written * width * _FLOAT_BYTES

    def _too_long_to_align(self, tokens: Sequence[str]) -> str:
        return (
            f"has {len(tokens):,} tokens, whose alignments may take "
            f"{self._alignment_bytes(tokens):,} bytes; this server keeps at most "
            f"{self._limits.alignment_bytes:,}: divide the text, lower beam_width or max_length, "
            "or leave return_alignments unset"
        )

    def _fill(
        self,
        message: pb.Translation,
        source_tokens: tuple[str, ...],
        hypotheses: "Sequence[Hypothesis]",
    ) -> None:
        message.source_token_count = len(source_tokens)
        if self._options.sampling is not None:
            message.seed = self._options.seed
        for found in hypotheses:
            fill_hypothesis(
                message.hypotheses.add(),
                found,
                source_tokens=source_tokens,
                with_tokens=self._asked.return_tokens,
                with_alignment=self._asked.return_alignments,
            )


def read_tokens(
    model: TranslationModel, options: "TranslationOptions", source: pb.TranslationSource
) -> tuple[str, ...]:
    """The source's tokens, with an end for each of its sentences that is translated by itself."""
    # Which sentence required phrases belong to cannot be told, so such a text stays whole.
    split = options.split_sentences and not source.required_phrases
    return model.source_tokens(source.text, split_sentences=split)


def _by_position(cancelled: Callable[[int], bool], indices: Sequence[int]) -> Callable[[int], bool]:
    """``cancelled``, asked by the position among ``indices``."""
    return lambda position: cancelled(indices[position])

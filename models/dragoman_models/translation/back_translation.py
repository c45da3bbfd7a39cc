"""Translates monolingual text into synthetic sentence pairs, resumably, and filters them.

Sennrich et al. 2016, "Improving neural machine translation models with monolingual data": a
reverse model's translations stand on the source side, true sentences on the target side. Turned
around, true sources with a model's translations are distillation (Kim and Rush 2016).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from dragoman_models.bundle import read_bundle
from dragoman_models.errors import BundleError, TrainingError
from dragoman_models.registry import load_model
from dragoman_models.training import write_atomically
from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.monolingual import SentenceSource, read_sentences
from dragoman_models.translation.pair_filter import PairFilter, Verdict
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

_CHUNK = 1000  # sentences between two records of progress


@dataclass(frozen=True, kw_only=True)
class SyntheticOptions:
    """How text is made into pairs.

    Attributes:
        text: what is translated.
        filter: which pairs are kept.
        search: how the translator searches, or draws (Edunov et al. 2018).
        forward: the text is the source side and its translation the target; otherwise the reverse.
        origin: the third column of every pair, such as "back-translated by en-fr/1".
    """

    text: SentenceSource
    filter: PairFilter
    search: TranslationOptions = field(default_factory=lambda: TranslationOptions(beam_width=1))
    forward: bool = False
    origin: str


@dataclass(frozen=True, kw_only=True)
class Progress:
    """What has been done: sentences read, bytes written, and pairs by what became of them."""

    sentences: int = 0
    written: int = 0
    verdicts: dict[str, int] = field(default_factory=dict)


def read_translator(folder: Path) -> Translator:
    """The translator in a bundle's folder, NAME/VERSION.

    Raises:
        BundleError: there is no bundle, or a damaged one, or one of another family.
    """
    model = load_model(read_bundle(folder))
    if not isinstance(model, Translator):
        raise BundleError(folder, "is no translator; give a bundle of the family translation")
    return model


class SyntheticPairs:
    """A file of synthetic pairs in the making: lines of source, target and origin, with tabs.

    Beside it stands ``NAME.progress``, by which an interrupted run goes on; what was written behind
    the last record is written again.
    """

    def __init__(self, translator: Translator, options: SyntheticOptions, out: Path) -> None:
        self.translator, self.options, self.out = translator, options, out
        self.record = out.with_name(out.name + ".progress")

    def run(
        self, *, resume: bool = False, report: Callable[[Progress], None] = lambda _: None
    ) -> Progress:
        """Translates what is left, and tells ``report`` after each thousand sentences.

        Raises:
            TrainingError: a file cannot be read or written, holds another run's pairs, or there is
                nothing to resume.
        """
        progress = self._begun() if resume else self._new()
        held_out = self.options.filter.held_out
        sentences = islice(read_sentences(self.options.text, held_out), progress.sentences, None)
        while chunk := list(islice(sentences, _CHUNK)):
            answers = self.translator.translate(chunk, self.options.search)
            progress = self._append(progress, chunk, answers)
            report(progress)
        return progress

    def _append(
        self, progress: Progress, chunk: Sequence[str], answers: Sequence[tuple[Hypothesis, ...]]
    ) -> Progress:
        verdicts = Counter(progress.verdicts)
        lines = []
        for pair, verdict in self._judged(chunk, answers):
            verdicts[verdict.value] += 1
            if verdict is Verdict.KEPT:
                lines.append("\t".join((*pair, self.options.origin)) + "\n")
        content = "".join(lines).encode()
        try:
            with self.out.open("r+b") as file:
                file.truncate(progress.written)
                file.seek(progress.written)
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise TrainingError(f"cannot write {self.out}: {error}") from error
        progress = Progress(
            sentences=progress.sentences + len(chunk),
            written=progress.written + len(content),
            verdicts=dict(verdicts),
        )
        self._save(progress)
        return progress

    def _judged(
        self, chunk: Sequence[str], answers: Sequence[tuple[Hypothesis, ...]]
    ) -> Iterator[tuple[SentencePair, Verdict]]:
        for text, answer in zip(chunk, answers, strict=True):
            best = answer[0]
            made = " ".join(best.text.split())  # no tab or line end may come into the file
            sides = (" ".join(text.split()), made)
            verdict = self.options.filter.verdict(
                SentencePair(*sides),
                token_log_prob=best.log_prob / len(best.tokens),
                truncated=best.truncated,
            )
            yield SentencePair(*(sides if self.options.forward else sides[::-1])), verdict

    # --- what a resumed run goes on from ---

    def _settings(self) -> str:
        options = self.options
        kept: list[Any] = [
            [path.name for path in options.text.paths], options.text.column, options.text.split,
            options.text.fewest_words, options.text.most_words, options.forward, options.origin,
            repr(options.search), len(options.filter.held_out), options.filter.length_ratio,
            options.filter.copied_share, options.filter.least_log_prob,
        ]  # fmt: skip
        return hashlib.sha256(json.dumps(kept).encode()).hexdigest()

    def _new(self) -> Progress:
        try:
            self.out.parent.mkdir(parents=True, exist_ok=True)
            self.out.open("xb").close()
        except FileExistsError as error:
            raise TrainingError(f"{self.out} exists; give --resume or another file") from error
        except OSError as error:
            raise TrainingError(f"cannot write {self.out}: {error}") from error
        progress = Progress()
        self._save(progress)
        return progress

    def _save(self, progress: Progress) -> None:
        content = {
            "settings": self._settings(), "sentences": progress.sentences,
            "written": progress.written, "verdicts": progress.verdicts,
        }  # fmt: skip
        write_atomically(self.record, (json.dumps(content) + "\n").encode())

    def _begun(self) -> Progress:
        try:
            content = json.loads(self.record.read_text(encoding="utf-8"))
            progress = Progress(
                sentences=int(content["sentences"]), written=int(content["written"]),
                verdicts=dict(content["verdicts"]),
            )  # fmt: skip
            size = self.out.stat().st_size
        except FileNotFoundError as error:
            raise TrainingError(f"nothing to resume: {error.filename} does not exist") from error
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise TrainingError(f"cannot read {self.record}: {error}") from error
        if content.get("settings") != self._settings():
            raise TrainingError(f"{self.out} was begun with other options; resume with those")
        if size < progress.written:
            raise TrainingError(
                f"{self.out} has {size} bytes, but {progress.written} were written: begin again"
            )
        return progress

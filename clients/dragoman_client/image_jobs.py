"""Any number of images, sent some at a time: few files are in memory, and no call is too large."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from dragoman_client.calls import Call, OneOrMany
from dragoman_client.errors import (
    DragomanClientError,
    FieldViolation,
    InvalidRequestError,
    QuotaExceededError,
)
from dragoman_client.image_calls import Contents, ImageCall, ImageInput
from dragoman_client.responses import ItemResult

Answer = TypeVar("Answer")

# What one call holds: enough for the server to gather well, and little enough for its deadline and
# for the size of its messages.
BATCH_IMAGES = 16
BATCH_BYTES = 8 * 1024 * 1024


@dataclass(kw_only=True)
class ImageBatch:
    """Items of one call: where each stands among all, and its contents."""

    places: list[int] = field(default_factory=list)
    contents: list[Contents] = field(default_factory=list)
    images: int = 0
    size: int = 0

    def add(self, place: int, contents: Contents) -> None:
        self.places.append(place)
        self.contents.append(contents)
        self.images += len(contents)
        self.size += sum(map(len, contents))

    def has_room_for(self, contents: Contents) -> bool:
        """Whether the item may stand in the same call; an empty batch has room for any."""
        if not self.places:
            return True
        size = self.size + sum(map(len, contents))
        return self.images + len(contents) <= BATCH_IMAGES and size <= BATCH_BYTES


class ImageJob(Generic[Answer]):
    """The items of one call of a client, and what has become of each so far."""

    def __init__(
        self, call: ImageCall[Any, Answer], items: Sequence[Sequence[ImageInput]], *, single: bool
    ) -> None:
        """Args:
        items: the image of each item, or the two of a pair.
        single: whether the caller gave one item by itself, and wants its answer or its error.
        """
        self._call = call
        self._items = items
        self._single = single
        self._results: dict[int, ItemResult[Answer]] = {}

    def batches(self) -> Iterator[ImageBatch]:
        """The items in calls, files read as they are needed; one that cannot be read has its error
        for its result. Without any items there is one empty call, which the server refuses."""
        batch = ImageBatch()
        for place, images in enumerate(self._items):
            try:
                contents = tuple(
                    _content(image, f"{self._call.field}[{place}].{name}content")
                    for image, name in zip(images, self._call.names, strict=True)
                )
            except InvalidRequestError as error:
                self._results[place] = error
                continue
            if not batch.has_room_for(contents):
                yield batch
                batch = ImageBatch()
            batch.add(place, contents)
        if batch.places or not self._items:
            yield batch

    def call_of(self, batch: ImageBatch) -> Call[Any, list[ItemResult[Answer]]]:
        """The call for a batch."""
        return self._call.of(batch.contents)

    def answered(self, batch: ImageBatch, results: Sequence[ItemResult[Answer]]) -> None:
        """Keep the results of a batch, their errors with the paths of all items."""
        for position, (place, result) in enumerate(zip(batch.places, results, strict=True)):
            if isinstance(result, InvalidRequestError):
                result = _moved(result, self._call.field, position, place)
            self._results[place] = result

    def refused(self, batch: ImageBatch, error: DragomanClientError) -> bool:
        """Whether the call failed because its only item is too large to be sent; it fails alone."""
        alone = len(batch.places) == 1 and batch.size > BATCH_BYTES
        if self._single or not alone or not isinstance(error, QuotaExceededError):
            return False
        self._results[batch.places[0]] = error
        return True

    def outcome(self) -> OneOrMany[Answer]:
        """All results in order; or the answer of the only item, whose error is raised."""
        results = [self._results[place] for place in range(len(self._items))]
        if not self._single:
            return results
        (result,) = results
        if isinstance(result, DragomanClientError):
            raise result
        return result


def one_or_many(images: ImageInput | Sequence[ImageInput]) -> tuple[Sequence[ImageInput], bool]:
    """The images, and whether there was one by itself."""
    if isinstance(images, bytes | str | os.PathLike):
        return [images], True
    return images, False


def _content(image: ImageInput, path: str) -> bytes:
    """The bytes of an image; those of a file are read."""
    if isinstance(image, bytes):
        return image
    try:
        return Path(image).read_bytes()
    except OSError as error:
        text = f"{image} cannot be read: {error.strerror or error}"
        raise InvalidRequestError.single(path, text) from error
    except ValueError as error:  # a path with a zero byte
        raise InvalidRequestError.single(path, f"{image!r} is no path: {error}") from error


def _moved(
    error: InvalidRequestError, field_name: str, position: int, place: int
) -> InvalidRequestError:
    """The error of an item of a part, as one of all items."""
    if position == place:
        return error
    pattern = re.compile(rf"\b{field_name}\[{position}\]")
    name = f"{field_name}[{place}]"
    return InvalidRequestError(
        pattern.sub(name, error.message),
        violations=[
            FieldViolation(field=pattern.sub(name, one.field), description=one.description)
            for one in error.violations
        ],
        code=error.code,
        request_id=error.request_id,
    )

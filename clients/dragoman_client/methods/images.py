"""The calls about images."""

from __future__ import annotations

import abc
import os
from collections.abc import Sequence
from typing import Any, TypeVar, overload

from dragoman_client import image_calls
from dragoman_client.calls import OneOrMany
from dragoman_client.image_calls import ImageCall, ImageInput
from dragoman_client.image_jobs import ImageJob, one_or_many
from dragoman_client.image_results import Classification, Detections, ImageVector, Verification
from dragoman_client.methods.calling import Calling
from dragoman_client.options import DetectionOptions
from dragoman_client.requests.fields import Model
from dragoman_client.responses import ItemResult

Answer = TypeVar("Answer")


class ImageMethods(Calling):
    """Images are given as bytes (the content of a JPEG, PNG or WebP file) or as the path of a file.

    Of many, some at a time are read and sent, so that no call is too large; ``timeout`` is for each
    of these calls. A file that cannot be read fails in its place, as one that does not decode.
    """

    @overload
    def classify(  # type: ignore[overload-overlap]
        self,
        images: ImageInput,
        *,
        model: Model = "",
        top_k: int | None = None,
        timeout: float | None = None,
    ) -> Classification: ...

    @overload
    def classify(
        self,
        images: Sequence[ImageInput],
        *,
        model: Model = "",
        top_k: int | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Classification]]: ...

    def classify(
        self,
        images: ImageInput | Sequence[ImageInput],
        *,
        model: Model = "",
        top_k: int | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Classification]:
        """The ``top_k`` most probable classes of an image, or of each of many; 5 by default."""
        return self._look(image_calls.classify(model=model, top_k=top_k), images, timeout)

    @overload
    def detect(  # type: ignore[overload-overlap]
        self,
        images: ImageInput,
        *,
        model: Model = "",
        options: DetectionOptions | None = None,
        timeout: float | None = None,
    ) -> Detections: ...

    @overload
    def detect(
        self,
        images: Sequence[ImageInput],
        *,
        model: Model = "",
        options: DetectionOptions | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Detections]]: ...

    def detect(
        self,
        images: ImageInput | Sequence[ImageInput],
        *,
        model: Model = "",
        options: DetectionOptions | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Detections]:
        """The objects in an image, or in each of many, with their boxes."""
        return self._look(image_calls.detect(model=model, options=options), images, timeout)

    @overload
    def embed_images(  # type: ignore[overload-overlap]
        self, images: ImageInput, *, model: Model = "", timeout: float | None = None
    ) -> ImageVector: ...

    @overload
    def embed_images(
        self, images: Sequence[ImageInput], *, model: Model = "", timeout: float | None = None
    ) -> list[ItemResult[ImageVector]]: ...

    def embed_images(
        self,
        images: ImageInput | Sequence[ImageInput],
        *,
        model: Model = "",
        timeout: float | None = None,
    ) -> OneOrMany[ImageVector]:
        """The vector of an image, or of each of many, for comparison with others of the model."""
        return self._look(image_calls.embed_images(model=model), images, timeout)

    @overload
    def verify(
        self,
        first: ImageInput,
        second: ImageInput,
        /,
        *,
        model: Model = "",
        threshold: float | None = None,
        timeout: float | None = None,
    ) -> Verification: ...

    @overload
    def verify(
        self,
        pairs: Sequence[tuple[ImageInput, ImageInput]],
        /,
        *,
        model: Model = "",
        threshold: float | None = None,
        timeout: float | None = None,
    ) -> list[ItemResult[Verification]]: ...

    def verify(
        self,
        first: Any,
        second: ImageInput | None = None,
        /,
        *,
        model: Model = "",
        threshold: float | None = None,
        timeout: float | None = None,
    ) -> OneOrMany[Verification]:
        """Whether two images show the same, or those of each of many pairs.

        ``threshold`` is the greatest distance that counts as the same; None is the model's own.
        """
        if second is None and isinstance(first, bytes | str | os.PathLike):
            raise TypeError("verify takes two images, or a list of pairs")
        items = first if second is None else [(first, second)]
        job = ImageJob(
            image_calls.verify(model=model, threshold=threshold), items, single=second is not None
        )
        return self._finished(job, timeout)

    def _look(
        self,
        call: ImageCall[Any, Answer],
        images: ImageInput | Sequence[ImageInput],
        timeout: float | None,
    ) -> OneOrMany[Answer]:
        items, single = one_or_many(images)
        job = ImageJob(call, [(image,) for image in items], single=single)
        return self._finished(job, timeout)

    @abc.abstractmethod
    def _finished(self, job: ImageJob[Answer], timeout: float | None) -> OneOrMany[Answer]: ...

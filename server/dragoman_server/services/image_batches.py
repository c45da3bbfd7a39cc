"""The calls of VisionService as work for the batcher: the images of several calls at once."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message

from dragoman.v1 import vision_service_pb2 as pb
from dragoman_server.batching.engine import Cancelled, Lane, Work
from dragoman_server.batching.option_key import request_key
from dragoman_server.model_version import ModelVersion

# A file of one more MiB takes about as long to decode as an image takes a model.
_BYTES_AN_IMAGE = 1024 * 1024

Look = Callable[[Sequence[Any], Cancelled], Sequence[Any]]
Write = Callable[[Any, str], Message]


@dataclass(frozen=True, kw_only=True)
class ImageItem:
    """The content of an image, or the two of a pair, and its path in its request."""

    content: bytes | tuple[bytes, bytes]
    root: str


class ImageEngine:
    """Looks at the images of several calls together; each outcome is the result's message."""

    def __init__(self, look: Look, write: Write) -> None:
        """Args:
        look: what the model answers to contents.
        write: the result of an answer, or of the error of an item with this path.
        """
        self._look = look
        self._write = write

    def run(self, payloads: Sequence[ImageItem], cancelled: Cancelled) -> list[Message]:
        answers = self._look([payload.content for payload in payloads], cancelled)
        return [
            self._write(answer, payload.root)
            for answer, payload in zip(answers, payloads, strict=True)
        ]


def image_lane(
    kind: str, version: ModelVersion, request: Message, items: str, engine: ImageEngine
) -> Lane:
    """Images for the same model with the same settings may share a batch; `items` is the field of
    the request that holds them."""
    return Lane(
        key=(kind, id(version.model), str(version), request_key(request, items)),
        engine=engine,
        kind=f"{kind} {version}",
    )


def image_works(images: Iterable[pb.Image]) -> list[Work]:
    """The images of one request as items."""
    return [
        Work(
            payload=ImageItem(content=image.content, root=f"images[{index}]"),
            cost=_cost(image.content),
        )
        for index, image in enumerate(images)
    ]


def pair_works(pairs: Iterable[pb.ImagePair]) -> list[Work]:
    """The pairs of one request as items."""
    works = []
    for index, pair in enumerate(pairs):
        contents = pair.first.content, pair.second.content
        payload = ImageItem(content=contents, root=f"pairs[{index}]")
        works.append(Work(payload=payload, cost=sum(map(_cost, contents))))
    return works


def _cost(content: bytes) -> int:
    """In images: 1, and as many more as its file has whole MiB."""
    return 1 + len(content) // _BYTES_AN_IMAGE

"""Images of several calls together, given up in time, bounded; and never in the way of texts."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.server.test_metrics import total
from tests.server.vision.fake_models import LIMITS, ColourClassifier, encoded, image_of

from dragoman.v1 import translation_service_pb2
from dragoman.v1 import vision_service_pb2 as pb
from dragoman_models.errors import InvalidInputError, WorkCancelledError
from dragoman_models.vision.image_decoding import ImageLimits
from dragoman_server import encoded_images
from dragoman_server.batching.observer import BatchRecord, NoObserver
from dragoman_server.encoded_images import EncodedClassifier
from dragoman_server.observability.metrics import ServerMetrics
from dragoman_server.services.image_batches import image_works

if TYPE_CHECKING:
    from tests.server.vision.conftest import VisionFactory, VisionServer

Code = grpc.StatusCode
COLOURS = [image_of(250, 20 * i, 5) for i in range(5)]
CONTENTS = [encoded(colour) for colour in COLOURS]


class Records(NoObserver):
    """What the batches were."""

    def __init__(self) -> None:
        self.batches: list[BatchRecord] = []

    def batch_ended(self, record: BatchRecord) -> None:
        self.batches.append(record)


def classify(*contents: bytes, **options: Any) -> pb.ClassifyRequest:
    return pb.ClassifyRequest(images=[pb.Image(content=one) for one in contents], **options)


def translate(text: str) -> translation_service_pb2.TranslateRequest:
    source = translation_service_pb2.TranslationSource(text=text)
    return translation_service_pb2.TranslateRequest(sources=[source])


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


# --- batches ---


async def test_images_of_several_calls_share_a_batch_and_come_back_to_their_own(
    vision_with: VisionFactory, wait_until: Any
) -> None:
    records = Records()
    async with vision_with(observer=records) as vision:
        alone = [await vision.stub.Classify(classify(content)) for content in CONTENTS]
        vision.classifier.calls.clear()
        vision.classifier.may_go_on.clear()
        first = asyncio.ensure_future(vision.stub.Classify(classify(CONTENTS[0])))
        await wait_until(lambda: bool(vision.classifier.calls))
        others = [
            asyncio.ensure_future(vision.stub.Classify(classify(content, b"bad", content)))
            for content in CONTENTS
        ]
        other_option = asyncio.ensure_future(vision.stub.Classify(classify(CONTENTS[1], top_k=1)))
        images = vision.server.parts.queues[2]
        await wait_until(lambda: images.queued == len(CONTENTS) + 1)
        vision.classifier.may_go_on.set()
        answers = await asyncio.gather(*others)
        await asyncio.gather(first, other_option)
        # 15 images of five calls in one batch, of which the model saw the ten that decode.
        assert sorted(vision.classifier.calls) == [1, 1, 10]
        await wait_until(lambda: sum(one.items for one in records.batches) == 5 + 1 + 15 + 1)
        assert max((one.items, one.calls) for one in records.batches) == (15, 5)
    for index, (answer, one) in enumerate(zip(answers, alone, strict=True)):
        assert [r.WhichOneof("result") for r in answer.results] == [
            "classification", "error", "classification"
        ], index  # fmt: skip
        for result in (answer.results[0], answer.results[2]):
            assert result == one.results[0]


def test_large_files_count_more_than_small_ones() -> None:
    images = [pb.Image(content=bytes(size)) for size in (0, 10, 2**20 - 1, 2**20, 5 * 2**20)]
    assert [work.cost for work in image_works(images)] == [1, 1, 1, 2, 6]


@given(
    st.lists(st.sampled_from([*range(5), None]), min_size=1, max_size=40),
    st.integers(1, 7),
    st.integers(1, 800),
)
@settings(max_examples=25)
def test_however_images_are_divided_each_gets_its_own_answer(
    chosen: list[int | None], at_once: int, pixels: int
) -> None:
    model = ColourClassifier()
    whole = EncodedClassifier(ColourClassifier(), LIMITS)
    divided = EncodedClassifier(model, LIMITS)
    contents = [b"bad" if index is None else CONTENTS[index] for index in chosen]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encoded_images, "_IMAGES_AT_ONCE", at_once)
        patch.setattr(encoded_images, "_PIXELS_AT_ONCE", pixels)
        found = divided.classify(contents, top_k=3)
    one_by_one = [whole.classify([content], top_k=3)[0] for content in contents]
    for index, ours, alone in zip(chosen, found, one_by_one, strict=True):
        if index is None:
            assert isinstance(ours, InvalidInputError)
        else:
            assert ours == alone
    # Pixels that wait for the model: no more than it gets at once, and the last image.
    most = min(at_once, -(-pixels // (12 * 8)))
    assert all(1 <= count <= most for count in model.calls)


def test_an_image_that_nobody_waits_for_is_not_decoded() -> None:
    model = EncodedClassifier(ColourClassifier(), ImageLimits())
    asked: list[int] = []

    def cancelled(index: int) -> bool:
        asked.append(index)
        return index in (1, 2)

    contents = [CONTENTS[0], b"never looked at", CONTENTS[1], CONTENTS[2]]
    found = model.classify(contents, top_k=3, cancelled=cancelled)
    assert asked == [0, 1, 2, 3]
    assert [type(one) for one in found] == [list, WorkCancelledError, WorkCancelledError, list]


# --- given up ---


async def test_a_call_that_is_given_up_is_not_begun(vision: VisionServer, wait_until: Any) -> None:
    vision.classifier.may_go_on.clear()
    first = asyncio.ensure_future(vision.stub.Classify(classify(CONTENTS[0])))
    await wait_until(lambda: bool(vision.classifier.calls))
    waiting = asyncio.ensure_future(vision.stub.Classify(classify(*CONTENTS)))
    images = vision.server.parts.queues[2]
    await wait_until(lambda: images.queued == 1)
    waiting.cancel()
    await wait_until(lambda: images.queued == 0)
    late = await failure(vision.stub.Classify(classify(CONTENTS[1]), timeout=0.05))
    assert late.code() is Code.DEADLINE_EXCEEDED
    vision.classifier.may_go_on.set()
    await first
    await wait_until(lambda: images.running == images.queued == 0)
    assert vision.classifier.calls == [1]


# --- bounds ---


async def test_a_full_queue_of_images_says_when_to_come_back(
    vision_with: VisionFactory, wait_until: Any
) -> None:
    metrics = ServerMetrics()
    async with vision_with(max_queued_images=3, metrics=metrics) as vision:
        vision.classifier.may_go_on.clear()
        first = asyncio.ensure_future(vision.stub.Classify(classify(CONTENTS[0])))
        await wait_until(lambda: bool(vision.classifier.calls))
        second = asyncio.ensure_future(vision.stub.Classify(classify(*CONTENTS[:3])))
        images = vision.server.parts.queues[2]
        await wait_until(lambda: images.queued == 1)
        error = await failure(vision.stub.Classify(classify(CONTENTS[0])))
        assert error.code() is Code.UNAVAILABLE
        assert "the queue of images is full" in (error.details() or "")
        status = rpc_status.from_call(error)  # type: ignore[arg-type]
        assert status is not None
        assert status.details[0].Is(error_details_pb2.RetryInfo.DESCRIPTOR)
        count = metrics.registry
        assert total(count, "dragoman_queued_images") == 3
        assert total(count, "dragoman_queued_image_calls") == 1
        assert total(count, "dragoman_running_image_batches") == 1
        assert total(count, "dragoman_queued_calls") == total(count, "dragoman_queued_tokens") == 0
        assert total(count, "dragoman_calls_shed_total", kind="Classify", reason="queue") == 1
        vision.classifier.may_go_on.set()
        await asyncio.gather(first, second)
        await wait_until(lambda: total(count, "dragoman_batch_items_sum", kind="Classify") == 4)
        assert total(count, "dragoman_tokens_total", kind="Classify", model="colours/1") == 4


async def test_a_client_has_a_quota_of_images(vision_with: VisionFactory) -> None:
    quotas = {"images_per_second": 0.001, "burst_seconds": 3_000.0, "tokens_per_second": 1e9}
    async with vision_with(quotas=quotas) as vision:
        await vision.stub.Classify(classify(*CONTENTS[:3]))
        error = await failure(vision.stub.Classify(classify(CONTENTS[0])))
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert "may ask for 0.001 images a second and 3 at once" in (error.details() or "")
        await vision.server.translation.Translate(translate("a b"))


# --- beside texts ---


async def test_texts_are_answered_whatever_images_wait_for(
    vision_with: VisionFactory, wait_until: Any
) -> None:
    texts = [f"one two {number}" for number in range(20)]
    async with vision_with(max_queued_images=5) as vision:
        calm = [await vision.server.translation.Translate(translate(text)) for text in texts]
        order = list(vision.translator.calls)
        vision.translator.calls.clear()
        # All that looks at images stands still, and as many wait as may.
        for model in (vision.classifier, vision.detector, vision.embedder):
            model.may_go_on.clear()
        running = asyncio.ensure_future(vision.stub.Classify(classify(CONTENTS[0])))
        await wait_until(lambda: bool(vision.classifier.calls))
        waiting = [
            asyncio.ensure_future(vision.stub.Classify(classify(content))) for content in CONTENTS
        ]
        images = vision.server.parts.queues[2]
        await wait_until(lambda: images.queued == 5)
        assert (await failure(vision.stub.Detect(pb.DetectRequest(
            images=[pb.Image(content=CONTENTS[0])]
        )))).code() is Code.UNAVAILABLE  # fmt: skip
        busy = [await vision.server.translation.Translate(translate(text)) for text in texts]
        assert busy == calm
        assert vision.translator.calls == order
        assert not running.done()
        assert not any(one.done() for one in waiting)
        vision.classifier.may_go_on.set()
        answers = await asyncio.gather(running, *waiting)
        assert all(one.results[0].HasField("classification") for one in answers)


async def test_images_are_answered_whatever_texts_wait_for(
    vision: VisionServer, wait_until: Any
) -> None:
    vision.translator.may_go_on.clear()
    held = [
        asyncio.ensure_future(vision.server.translation.Translate(translate(f"a b {number}")))
        for number in range(10)
    ]
    await wait_until(lambda: bool(vision.translator.calls))
    answer = await vision.stub.Classify(classify(*CONTENTS))
    assert len(answer.results) == 5
    assert not any(one.done() for one in held)
    vision.translator.may_go_on.set()
    await asyncio.gather(*held)

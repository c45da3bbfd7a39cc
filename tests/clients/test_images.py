"""The calls about images, with both clients: bytes or files, one or any number of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from google.rpc import error_details_pb2, status_pb2
from tests.clients.looking_server import LABELS, answer_about_images

from dragoman_client import (
    BoundingBox,
    Classification,
    ClassProbability,
    Detection,
    DetectionOptions,
    Detections,
    ImageVector,
    InvalidRequestError,
    ModelVersion,
    NotServedError,
    QuotaExceededError,
    Verification,
    image_jobs,
)

if TYPE_CHECKING:
    from tests.clients.conftest import FakeServer

Call = Callable[..., Any]
EYES = ModelVersion(name="eyes", version=3)


@pytest.fixture
def looking(server: FakeServer) -> FakeServer:
    answer_about_images(server)
    return server


def test_one_image_gives_its_answer(looking: FakeServer, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "dog.jpg"
    path.write_bytes(b"\x01dog")
    for image in (b"\x01dog", path, str(path)):
        found = call(looking.address, "classify", image, top_k=2, model="eyes")
        assert found == Classification(
            classes=(
                ClassProbability(class_id=1, label="dog", probability=0.5),
                ClassProbability(class_id=2, label="fish", probability=0.25),
            ),
            model=EYES,
        )
        assert found.label == "dog"
    assert {request.images[0].content for request in looking.requests} == {b"\x01dog"}
    assert (looking.requests[0].top_k, looking.requests[0].model.name) == (2, "eyes")
    assert not looking.requests[0].model.HasField("version")


def test_objects_come_with_their_boxes(looking: FakeServer, call: Call) -> None:
    options = DetectionOptions(score_threshold=0.25, max_detections=9)
    found = call(looking.address, "detect", [b"\x01", b"\x00"], options=options, model=EYES)
    box = BoundingBox(x_min=1.0, y_min=2.5, x_max=11.0, y_max=22.5)
    dog = Detection(box=box, class_id=1, label="dog", score=0.75)
    assert found == [
        Detections(detections=(dog,), image_width=40, image_height=30, model=EYES),
        Detections(detections=(), image_width=40, image_height=30, model=EYES),
    ]
    (request,) = looking.requests
    assert (request.score_threshold, request.max_detections) == (0.25, 9)
    assert not request.HasField("iou_threshold")
    assert request.model.version == 3


def test_vectors_are_plain_numbers(looking: FakeServer, call: Call) -> None:
    found = call(looking.address, "embed_images", b"\x02")
    assert found == ImageVector(values=(0.0, 0.0, 1.0), model=EYES)


def test_two_images_are_compared(looking: FakeServer, call: Call, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"four")
    found = call(looking.address, "verify", path, b"fives")
    assert found == Verification(distance=0.25, threshold=0.5, same=True, model=EYES)
    found = call(looking.address, "verify", [(b"four", b"fives"), (b"a", b"abcde")], threshold=0.0)
    assert [one.same for one in found] == [False, False]
    assert not looking.requests[0].HasField("threshold")
    with pytest.raises(TypeError, match="two images, or a list of pairs"):
        call(looking.address, "verify", b"one")


def test_one_bad_image_raises_and_of_many_fails_in_its_place(
    looking: FakeServer, call: Call, tmp_path: Path
) -> None:
    missing = tmp_path / "missing.png"
    for image, text in ((b"bad", "does not decode"), (missing, "No such file")):
        with pytest.raises(InvalidRequestError, match=text) as caught:
            call(looking.address, "classify", image)
        assert caught.value.violations[0].field == "images[0].content"
    found = call(looking.address, "classify", [b"\x00", missing, b"\x01", tmp_path, b"bad"])
    assert [getattr(one, "label", None) for one in found] == ["cat", None, "dog", None, None]
    texts = ["cannot be read: No such file", "cannot be read: Is a directory", "does not decode"]
    for place, text in zip((1, 3, 4), texts, strict=True):
        (violation,) = found[place].violations
        assert violation.field == f"images[{place}].content"  # of all images, not of those sent
        assert text in violation.description
        assert str(found[place]).startswith(f"images[{place}].content: ")


def test_a_bad_image_of_a_pair_is_named(looking: FakeServer, call: Call, tmp_path: Path) -> None:
    pairs = [(b"a", tmp_path / "none"), (b"a", b"b"), (b"a", b"bad"), (b"bad", b"bad")]
    found = call(looking.address, "verify", pairs)
    fields = [[v.field for v in getattr(one, "violations", ())] for one in found]
    assert fields == [
        ["pairs[0].second.content"],
        [],
        ["pairs[2].second.content"],
        ["pairs[3].first.content", "pairs[3].second.content"],
    ]


def test_many_images_are_sent_some_at_a_time(
    looking: FakeServer, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "BATCH_BYTES", 1_000)
    contents = [bytes([number]) * (1 + 37 * number % 400) for number in range(100)]
    contents[50] = b"bad" * 10
    found = call(looking.address, "classify", contents)
    expected = [LABELS[number % 3] for number in range(100)]
    assert [getattr(one, "label", None) for one in found] == [
        None if place == 50 else label for place, label in enumerate(expected)
    ]
    assert found[50].violations[0].field == "images[50].content"
    sent = [[image.content for image in request.images] for request in looking.requests]
    assert [content for batch in sent for content in batch] == contents
    assert all(len(batch) <= 16 and sum(map(len, batch)) <= 1_000 for batch in sent)
    pairs = [(content, content) for content in contents[:49]]
    found = call(looking.address, "verify", pairs)
    assert all(one.same for one in found)
    assert max(len(one.pairs) for one in looking.requests[len(sent) :]) <= 8


def test_an_image_that_is_too_large_to_send_fails_alone(
    looking: FakeServer, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_jobs, "BATCH_BYTES", 1_000)
    look = looking.answers["Classify"]

    def refuse_large(request: Any, context: grpc.ServicerContext) -> Any:
        if request.ByteSize() > 2_000:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "at most 2,000 bytes")
        return look(request, context)

    looking.answers["Classify"] = refuse_large
    found = call(looking.address, "classify", [b"\x01", b"\x02" * 3_000, b"\x02", b"\0" * 1_500])
    assert isinstance(found[1], QuotaExceededError)
    assert [getattr(one, "label", None) for one in found] == ["dog", None, "fish", "cat"]
    with pytest.raises(QuotaExceededError):
        call(looking.address, "classify", b"\x02" * 3_000)


def test_what_concerns_the_call_raises(server: FakeServer, call: Call) -> None:
    wrong = error_details_pb2.BadRequest()
    wrong.field_violations.add(field="top_k", description="is 0; give 1 to 1,000")
    status = status_pb2.Status(code=3, message="top_k: is 0")
    status.details.add().Pack(wrong)
    server.fail("Classify", status)
    with pytest.raises(InvalidRequestError) as caught:
        call(server.address, "classify", [b"a", b"b"], top_k=0)
    assert caught.value.violations[0].field == "top_k"
    server.fail("Classify", status_pb2.Status(code=8, message="client 1 may ask for 2 images"))
    with pytest.raises(QuotaExceededError):
        call(server.address, "classify", [b"a", b"b"])
    server.fail("Classify", status_pb2.Status(code=12, message="not served"))
    with pytest.raises(NotServedError):
        call(server.address, "classify", [])


def test_a_number_that_no_message_holds_is_refused_by_name(looking: FakeServer, call: Call) -> None:
    for name, options, field in (
        ("classify", {"top_k": -1}, "top_k"),
        ("detect", {"options": DetectionOptions(max_detections=-1)}, "max_detections"),
    ):
        with pytest.raises(InvalidRequestError) as caught:
            call(looking.address, name, b"a", **options)
        assert caught.value.violations[0].field == field
    assert not looking.requests

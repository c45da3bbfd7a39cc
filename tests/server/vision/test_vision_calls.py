"""The four calls: answers that follow from the pixels, and errors that stay with their image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import grpc
import numpy as np
import pytest
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status
from tests.server.conftest import ready_version
from tests.server.vision.fake_models import (
    LABELS,
    THRESHOLD,
    ColourEmbedder,
    encoded,
    image_of,
    spotted,
)

from dragoman.v1 import model_pb2, model_service_pb2, translation_service_pb2
from dragoman.v1 import vision_service_pb2 as pb
from dragoman_models.vision.results import DetectionOptions
from dragoman_server.errors import ConfigError
from dragoman_server.model_repository import ModelRepository
from dragoman_server.served_families import CLASSIFY, DETECT, EMBED_IMAGE

if TYPE_CHECKING:
    from tests.server.vision.conftest import VisionFactory, VisionServer

Code = grpc.StatusCode
RED, GREEN, GREY = image_of(200, 10, 10), image_of(10, 180, 10), image_of(90, 90, 90)


def images(*contents: bytes) -> list[pb.Image]:
    return [pb.Image(content=content) for content in contents]


def pair(first: bytes, second: bytes) -> pb.ImagePair:
    return pb.ImagePair(first=pb.Image(content=first), second=pb.Image(content=second))


async def failure(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def violations(status: status_pb2.Status) -> dict[str, str]:
    found = {}
    for detail in status.details:
        request = error_details_pb2.BadRequest()
        if detail.Unpack(request):
            found.update({one.field: one.description for one in request.field_violations})
    return found


async def fields(call: Any) -> dict[str, str]:
    error = await failure(call)
    assert error.code() is Code.INVALID_ARGUMENT
    status = rpc_status.from_call(error)  # type: ignore[arg-type]
    assert status is not None
    return violations(status)


# --- answers ---


async def test_classes_come_with_their_probabilities_most_probable_first(
    vision: VisionServer,
) -> None:
    contents = [encoded(RED), encoded(GREEN, "JPEG", quality=95), encoded(GREY, "WEBP")]
    response = await vision.stub.Classify(pb.ClassifyRequest(images=images(*contents)))
    assert (response.model.name, response.model.version) == ("colours", 1)
    classes = [result.classification.classes for result in response.results]
    assert [one[0].label for one in classes[:2]] == ["red", "green"]
    for one in classes:
        assert sorted(c.class_id for c in one) == [0, 1, 2]  # fewer than top_k, as there are fewer
        assert [c.label for c in one] == [LABELS[c.class_id] for c in one]
        assert [c.probability for c in one] == sorted((c.probability for c in one), reverse=True)
        assert math.isclose(sum(c.probability for c in one), 1.0, rel_tol=1e-5)
    request = pb.ClassifyRequest(images=images(contents[0]), top_k=1)
    (result,) = (await vision.stub.Classify(request)).results
    assert [c.label for c in result.classification.classes] == ["red"]


async def test_objects_come_with_boxes_in_the_pixels_of_the_image(vision: VisionServer) -> None:
    blank = image_of(255, 255, 255, width=33, height=21)
    contents = [encoded(spotted(5, 7, 10, 4)), encoded(blank)]
    response = await vision.stub.Detect(pb.DetectRequest(images=images(*contents)))
    first, second = (result.detections for result in response.results)
    (found,) = first.detections
    assert (found.box.x_min, found.box.y_min, found.box.x_max, found.box.y_max) == (5, 7, 15, 11)
    assert (found.class_id, found.label, found.score) == (0, "spot", 1.0)
    assert (first.image_width, first.image_height) == (40, 30)
    assert response.results[1].WhichOneof("result") == "detections"
    assert (second.image_width, second.image_height, len(second.detections)) == (33, 21, 0)


async def test_options_of_detection_are_those_that_were_set(vision: VisionServer) -> None:
    content = images(encoded(spotted(1, 1, 2, 2)))
    await vision.stub.Detect(pb.DetectRequest(images=content))
    await vision.stub.Detect(
        pb.DetectRequest(images=content, score_threshold=0.0, iou_threshold=1.0, max_detections=7)
    )
    assert vision.detector.options == [
        DetectionOptions(),
        DetectionOptions(score_threshold=0.0, iou_threshold=1.0, max_detections=7),
    ]


async def test_vectors_are_those_of_the_model(vision: VisionServer) -> None:
    request = pb.EmbedImageRequest(images=images(encoded(RED), encoded(GREY)))
    response = await vision.stub.EmbedImage(request)
    assert response.dimensions == 4
    for result, image in zip(response.results, (RED, GREY), strict=True):
        np.testing.assert_array_equal(result.vector.values, ColourEmbedder.vector(image))


async def test_pairs_are_the_same_up_to_the_threshold(vision: VisionServer) -> None:
    close = image_of(195, 14, 10)
    pairs = [pair(encoded(RED), encoded(close)), pair(encoded(RED), encoded(GREEN))]
    response = await vision.stub.Verify(pb.VerifyRequest(pairs=pairs))
    for result, others in zip(response.results, ((RED, close), (RED, GREEN)), strict=True):
        vectors = [ColourEmbedder.vector(image).astype(float) for image in others]
        expected = float(np.linalg.norm(vectors[0] - vectors[1]))
        found = result.verification
        assert math.isclose(found.distance, expected, rel_tol=1e-5)
        assert found.threshold == THRESHOLD
        assert found.same is (expected <= THRESHOLD)
    assert [result.verification.same for result in response.results] == [True, False]
    for threshold, same in ((2.0, True), (0.0, False)):
        request = pb.VerifyRequest(pairs=pairs[1:], threshold=threshold)
        (result,) = (await vision.stub.Verify(request)).results
        assert (result.verification.threshold, result.verification.same) == (threshold, same)
    request = pb.VerifyRequest(pairs=[pair(encoded(RED), encoded(RED))], threshold=0.0)
    (result,) = (await vision.stub.Verify(request)).results
    assert result.verification.same  # at most the threshold


async def test_an_image_is_turned_upright_before_anything_is_found(vision: VisionServer) -> None:
    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: 40 x 30 in the file, 30 x 40 to the eye
    content = encoded(spotted(5, 7, 10, 4), exif=exif)
    (result,) = (await vision.stub.Detect(pb.DetectRequest(images=images(content)))).results
    assert (result.detections.image_width, result.detections.image_height) == (30, 40)
    box = result.detections.detections[0].box
    assert (box.x_min, box.y_min, box.x_max, box.y_max) == (30 - 11, 5, 30 - 7, 15)


# --- errors of items ---


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "is empty"),
        (b"GIF89a", "is a GIF"),
        (encoded(RED)[:-30], "cut short"),
        (encoded(image_of(1, 2, 3, width=1_001, height=100)), "1,001 x 100 pixels"),
        (b"\xff\xd8\xff" + b"x" * 200_000, "more than the 200,000 bytes"),
    ],
)
async def test_a_bad_image_fails_alone(vision: VisionServer, content: bytes, text: str) -> None:
    contents = [encoded(RED), content, encoded(GREEN), content]
    stub = vision.stub
    for response, value in (
        (await stub.Classify(pb.ClassifyRequest(images=images(*contents))), "classification"),
        (await stub.Detect(pb.DetectRequest(images=images(*contents))), "detections"),
        (await stub.EmbedImage(pb.EmbedImageRequest(images=images(*contents))), "vector"),
    ):
        kinds = [result.WhichOneof("result") for result in response.results]
        assert kinds == [value, "error", value, "error"]
        for index in (1, 3):
            status = response.results[index].error
            assert status.code == Code.INVALID_ARGUMENT.value[0]
            (found,) = violations(status).items()
            assert found[0] == f"images[{index}].content"
            assert text in found[1]


async def test_a_bad_image_of_a_pair_is_named(vision: VisionServer) -> None:
    good, bad = encoded(RED), b"nothing"
    request = pb.VerifyRequest(
        pairs=[pair(good, bad), pair(good, good), pair(bad, good), pair(bad, bad), pb.ImagePair()]
    )
    results = (await vision.stub.Verify(request)).results
    assert [sorted(violations(result.error)) for result in results] == [
        ["pairs[0].second.content"],
        [],
        ["pairs[2].first.content"],
        ["pairs[3].first.content", "pairs[3].second.content"],
        ["pairs[4].first.content", "pairs[4].second.content"],
    ]
    assert results[1].verification.same


async def test_an_image_that_is_the_only_one_fails_in_its_place_too(vision: VisionServer) -> None:
    (result,) = (await vision.stub.Classify(pb.ClassifyRequest(images=images(b"x")))).results
    assert list(violations(result.error)) == ["images[0].content"]
    assert vision.classifier.calls == []  # the model was not asked about nothing


# --- errors of calls ---


async def test_wrong_options_are_named_all_at_once(vision: VisionServer) -> None:
    content = images(encoded(RED))
    nan = float("nan")
    detect = pb.DetectRequest(score_threshold=1.5, iou_threshold=0.0, max_detections=1_001)
    found = await fields(vision.stub.Detect(detect))
    assert found == {
        "images": "is empty; give 1 to 64 items",
        "score_threshold": "is 1.5; give 0.0 to 1.0",
        "iou_threshold": "is 0; give more than 0.0 to 1.0",
        "max_detections": "is 1,001; give 1 to 1,000",
    }
    detect = pb.DetectRequest(images=content, score_threshold=nan, iou_threshold=nan)
    assert set(await fields(vision.stub.Detect(detect))) == {"score_threshold", "iou_threshold"}
    detect = pb.DetectRequest(images=content, score_threshold=-0.1, max_detections=0)
    assert set(await fields(vision.stub.Detect(detect))) == {"score_threshold", "max_detections"}
    for top_k in (0, 1_001):
        call = vision.stub.Classify(pb.ClassifyRequest(images=content, top_k=top_k))
        assert list(await fields(call)) == ["top_k"]
    for threshold in (-0.1, nan, math.inf):
        request = pb.VerifyRequest(pairs=[pair(b"", b"")], threshold=threshold)
        assert await fields(vision.stub.Verify(request)) == {
            "threshold": f"is {threshold:g}; give 0 or more"
        }


async def test_too_many_items_are_refused_by_their_limit(vision_with: VisionFactory) -> None:
    async with vision_with(limits={"images": 2, "image_pairs": 1}) as vision:
        content = encoded(RED)
        three = images(content, content, content)
        for call in (
            vision.stub.Classify(pb.ClassifyRequest(images=three)),
            vision.stub.Detect(pb.DetectRequest(images=three)),
            vision.stub.EmbedImage(pb.EmbedImageRequest(images=three)),
        ):
            assert "at most 2 a call" in (await fields(call))["images"]
        request = pb.VerifyRequest(pairs=[pair(content, content)] * 2)
        assert "at most 1 a call" in (await fields(vision.stub.Verify(request)))["pairs"]
        good = await vision.stub.Classify(pb.ClassifyRequest(images=three[:2]))
        assert len(good.results) == 2


async def test_messages_with_images_have_a_limit_of_their_own(vision_with: VisionFactory) -> None:
    limits = {"message_bytes": 2_000, "image_message_bytes": 120_000}
    noise = np.random.default_rng(0).integers(0, 256, (100, 150, 3), dtype=np.uint8)
    content = encoded(noise)
    async with vision_with(limits=limits) as vision:
        assert 2_000 < len(content) < 50_000
        response = await vision.stub.Classify(pb.ClassifyRequest(images=images(content)))
        assert response.results[0].WhichOneof("result") == "classification"
        error = await failure(
            vision.stub.Classify(pb.ClassifyRequest(images=images(*[content] * 3)))
        )
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert "120,000" in (error.details() or "")
        source = translation_service_pb2.TranslationSource(text="x" * 3_000)
        request = translation_service_pb2.TranslateRequest(sources=[source])
        error = await failure(vision.server.translation.Translate(request))
        assert error.code() is Code.RESOURCE_EXHAUSTED
        assert "2,000" in (error.details() or "")


async def test_each_call_has_the_default_model_of_its_family(vision: VisionServer) -> None:
    content = images(encoded(RED))
    answers = [
        await vision.stub.Classify(pb.ClassifyRequest(images=content)),
        await vision.stub.Detect(pb.DetectRequest(images=content)),
        await vision.stub.EmbedImage(pb.EmbedImageRequest(images=content)),
        await vision.stub.Verify(pb.VerifyRequest(pairs=[pb.ImagePair()])),
    ]
    assert [answer.model.name for answer in answers] == ["colours", "spots", "faces", "faces"]
    listed = await vision.server.models.ListModels(model_service_pb2.ListModelsRequest())
    service = "dragoman.v1.VisionService"
    for model in listed.models:
        if model.name != "backwards":
            assert list(model.services) == list(model.default_for) == [service]


def test_of_several_models_of_a_family_the_usual_one_is_the_default() -> None:
    names = {
        CLASSIFY: ("image_classifier", "fashion-mnist"), DETECT: ("object_detector", "bccd"),
        EMBED_IMAGE: ("image_embedder", "omniglot"),
    }  # fmt: skip
    usual = [ready_version(name, family, object()) for family, name in names.values()]
    others = [ready_version(f"a-{family}", family, object()) for family, _ in names.values()]
    repository = ModelRepository([*usual, *others])
    for target, (_, name) in names.items():
        assert repository.default_name(target) == name
        assert repository.select(target, "", None).name == name
    chosen = ModelRepository([*usual, *others], defaults={DETECT: "a-object_detector"})
    assert chosen.select(DETECT, "", None).name == "a-object_detector"
    with pytest.raises(ConfigError, match=r"default_models\.vision_detector: no model of"):
        ModelRepository([*usual, *others], defaults={DETECT: "fashion-mnist"})


async def test_a_model_of_another_family_is_refused_with_those_that_could(
    vision: VisionServer,
) -> None:
    content = images(encoded(RED))
    for name, call, right in (
        ("spots", "Classify", "colours"),
        ("faces", "Detect", "spots"),
        ("colours", "EmbedImage", "faces"),
        ("backwards", "Classify", "colours"),
    ):
        selector = model_pb2.ModelSelector(name=name)
        request = getattr(pb, f"{call}Request")(model=selector, images=content)
        text = (await fields(getattr(vision.stub, call)(request)))["model.name"]
        assert f"does not answer dragoman.v1.VisionService/{call}" in text
        assert text.endswith(f"choose from: {right}")
    selector = model_pb2.ModelSelector(name="nobody")
    error = await failure(vision.stub.Detect(pb.DetectRequest(model=selector, images=content)))
    assert error.code() is Code.NOT_FOUND


async def test_a_server_without_such_a_model_says_so(vision_with: VisionFactory) -> None:
    from tests.server.conftest import running_server

    from dragoman.v1 import vision_service_pb2_grpc

    async with running_server() as server:
        stub: Any = vision_service_pb2_grpc.VisionServiceStub(server.channel)
        found = await fields(stub.Classify(pb.ClassifyRequest(images=images(encoded(RED)))))
        assert "no default model for dragoman.v1.VisionService/Classify" in found["model.name"]


async def test_the_classes_and_sizes_of_models_are_told(vision: VisionServer) -> None:
    async def get(name: str) -> model_service_pb2.GetModelResponse:
        request = model_service_pb2.GetModelRequest(model=model_pb2.ModelSelector(name=name))
        found: model_service_pb2.GetModelResponse = await vision.server.models.GetModel(request)
        return found

    assert list((await get("colours")).labels) == list(LABELS)
    assert list((await get("spots")).labels) == ["spot"]
    faces = await get("faces")
    assert (list(faces.labels), faces.model.dimensions) == ([], 4)
    assert not (await get("colours")).model.HasField("dimensions")

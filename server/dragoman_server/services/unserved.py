"""The services that are designed but not yet served: every call says so."""

# ruff: noqa: N802 - the names of the calls are those of the API.

from typing import Any

from dragoman.v1 import (
    vision_service_pb2,
    vision_service_pb2_grpc,
)
from dragoman_server.errors import NotServedError

VISION_SERVICE = vision_service_pb2.DESCRIPTOR.services_by_name["VisionService"].full_name


class VisionService(vision_service_pb2_grpc.VisionServiceServicer):
    """Not served yet."""

    async def Classify(self, request: object, context: object) -> Any:
        raise NotServedError(f"{VISION_SERVICE}/Classify")

    async def Detect(self, request: object, context: object) -> Any:
        raise NotServedError(f"{VISION_SERVICE}/Detect")

    async def EmbedImage(self, request: object, context: object) -> Any:
        raise NotServedError(f"{VISION_SERVICE}/EmbedImage")

    async def Verify(self, request: object, context: object) -> Any:
        raise NotServedError(f"{VISION_SERVICE}/Verify")

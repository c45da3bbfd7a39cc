"""Reads one annotation of the Pascal VOC format (Everingham et al. 2010)."""

from __future__ import annotations

import math
from dataclasses import dataclass

from lxml import etree


class AnnotationError(ValueError):
    """The file is no annotation; the message says why."""


@dataclass(frozen=True, kw_only=True)
class VocObject:
    """One object: its label, and its corners as the file gives them, counted from 1, inclusive."""

    label: str
    corners: tuple[float, float, float, float]


@dataclass(frozen=True, kw_only=True)
class VocAnnotation:
    """An image's size where it is stated, and its objects."""

    size: tuple[int, int] | None  # width, height
    objects: tuple[VocObject, ...]


def read_annotation(content: bytes) -> VocAnnotation:
    """The annotation in an XML file.

    Raises:
        AnnotationError: the file is not XML, or an object has no name or no corners.
    """
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
    try:
        root = etree.fromstring(content, parser)
    except etree.XMLSyntaxError as error:
        raise AnnotationError(f"its annotation is not XML ({error})") from error
    objects = tuple(
        _object(element, number) for number, element in enumerate(root.iterfind("object"), start=1)
    )
    return VocAnnotation(size=_size(root), objects=objects)


def _size(root: etree._Element) -> tuple[int, int] | None:
    try:
        width, height = (int(root.findtext(f"size/{side}", "")) for side in ("width", "height"))
    except ValueError:
        return None
    return (width, height) if width > 0 and height > 0 else None


def _object(element: etree._Element, number: int) -> VocObject:
    label = (element.findtext("name") or "").strip()
    if not label:
        raise AnnotationError(f"object {number} of its annotation has no name")
    try:
        left, top, right, bottom = (
            float(element.findtext(f"bndbox/{side}", ""))
            for side in ("xmin", "ymin", "xmax", "ymax")
        )
    except ValueError as error:
        raise AnnotationError(
            f"object {number} ({label}) of its annotation has no xmin, ymin, xmax and ymax"
        ) from error
    corners = (left, top, right, bottom)
    if not all(map(math.isfinite, corners)):
        raise AnnotationError(f"object {number} ({label}) of its annotation is not finite")
    return VocObject(label=label, corners=corners)

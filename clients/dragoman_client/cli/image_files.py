"""The images that a subcommand is given: files, folders and patterns, looked at some at a time."""

from __future__ import annotations

import glob
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from dragoman_client.cli.picture_option import check_picture
from dragoman_client.cli.reporting import CommandError, described, described_item, report
from dragoman_client.errors import DragomanClientError
from dragoman_client.image_jobs import BATCH_IMAGES
from dragoman_client.responses import ItemResult

Answer = TypeVar("Answer")

Images = Annotated[
    list[str],
    typer.Argument(
        metavar="IMAGE...", show_default=False,
        help="JPEG, PNG and WebP files, folders of them, or patterns such as 'pets/*.jpg'.",
    ),
]  # fmt: skip
Picture = Annotated[
    Path | None,
    typer.Option(
        "--out", metavar="FILE", show_default=False,
        help="Draw the result: .png, .svg, .pdf or .html; goes with one image.",
    ),
]  # fmt: skip

_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def image_paths(arguments: Sequence[str]) -> list[Path]:
    """The files that the arguments mean, in order, those of folders and patterns by name.

    Raises:
        CommandError: a folder without images, or a pattern that fits no file. A single file that is
            missing is found out when it is read.
    """
    return [path for argument in arguments for path in _meant(argument)]


def _meant(argument: str) -> list[Path]:
    path = Path(argument)
    if path.is_dir():
        found = sorted(one for one in path.rglob("*") if _is_image(one))
        if not found:
            raise CommandError(f"{path} has no images ({', '.join(_SUFFIXES)})")
        return found
    if path.exists() or not glob.has_magic(argument):
        return [path]
    # Not Path.glob, which takes no pattern that begins at the root.
    named = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207
    found = [one for one in map(Path, named) if not one.is_dir()]
    if not found:
        raise CommandError(f"no file is named like {argument}")
    return found


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in _SUFFIXES and path.is_file()


def looked_at(
    paths: Sequence[Path], look: Callable[[Sequence[Path]], list[ItemResult[Answer]]]
) -> Iterator[tuple[Path, ItemResult[Answer]]]:
    """Each image with its answer or error, some at a time; an error is also reported.

    Raises:
        CommandError: a call failed as a whole; what came before it stands.
    """
    for start in range(0, len(paths), BATCH_IMAGES):
        batch = paths[start : start + BATCH_IMAGES]
        try:
            results = look(batch)
        except DragomanClientError as error:
            place = "" if len(paths) == 1 else f"{batch[0]} to {batch[-1]}: "
            raise CommandError(f"{place}{described(error)}") from error
        for path, result in zip(batch, results, strict=True):
            if isinstance(result, DragomanClientError):
                text = described_item(result)
                report(text if text.startswith(str(path)) else f"{path}: {text}")
            yield path, result


def paths_to_draw(arguments: Sequence[str], out: Path | None) -> list[Path]:
    """As ``image_paths``, for a subcommand that may draw its answer.

    Raises:
        typer.BadParameter: a picture goes with one image.
        CommandError: also where no picture could be written to ``out``.
    """
    paths = image_paths(arguments)
    if out is not None:
        if len(paths) != 1:
            raise typer.BadParameter(f"goes with one image, not {len(paths):,}", param_hint="--out")
        check_picture(out, "--out")
    return paths

"""`dragoman enrol` and `identify`: whom or what pictures show, by a gallery of known ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import typer

from dragoman_client.cli.connection import (
    DEFAULT_SECONDS,
    DEFAULT_SERVER,
    Json,
    ModelName,
    Server,
    Timeout,
    connect,
    model_named,
)
from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.image_answers import print_answers
from dragoman_client.cli.image_files import Images, image_paths, looked_at
from dragoman_client.cli.json_output import model_values, print_json
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.reporting import FAILED, CommandError, report
from dragoman_client.client import Client
from dragoman_client.errors import DragomanClientError
from dragoman_client.image_results import ImageVector
from dragoman_client.requests.fields import Model
from dragoman_client.results import ModelVersion

# Those of dragoman_models, which only the functions below import.
Gallery: TypeAlias = Any
Identification: TypeAlias = Any

_EXTRA = "models"
_COLUMNS = ("image", "rank", "label", "distance", "within")

GalleryFolder = Annotated[
    Path,
    typer.Option(
        "--gallery", metavar="FOLDER", show_default=False,
        help="The gallery: a folder NAME, whose last version is taken, or NAME/VERSION.",
    ),
]  # fmt: skip


Label = Annotated[
    str | None,
    typer.Option(metavar="LABEL", show_default=False, help="Whom or what all images show."),
]
LabelImages = Annotated[
    list[str] | None,
    typer.Argument(metavar="[IMAGE...]", show_default=False, help="Images of the label."),
]
Identities = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER", show_default=False,
        help="A folder with a folder of images for each label, instead of --label.",
    ),
]  # fmt: skip


def enrol(
    gallery: GalleryFolder,
    label: Label = None,
    images: LabelImages = None,
    identities: Identities = None,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Add images to a gallery, which becomes its next version, and print where that is.

    Nothing is written unless all images could be embedded.
    """
    labels = _labelled_paths(label, images or [], identities)
    galleries = _galleries()
    with reported_model_errors(), connect(server, timeout) as client:
        known = galleries.Gallery.load(gallery) if gallery.exists() else None
        asked = _asked_model(model, known)
        vectors = list(_embedded(client, list(labels), asked))
        if any(isinstance(found, DragomanClientError) for _, found in vectors):
            raise typer.Exit(FAILED)
        for path, found in vectors:
            if isinstance(found, ImageVector):
                known = known or _new_gallery(client, path, found.model)
                known.check_model(found.model.name, found.model.version or 0)
                known.enrol(labels[path], found.values)
        if known is None:
            raise CommandError("there are no images to enrol")
        written = known.save_next(_name_folder(gallery))
    if json:
        print_json(gallery=str(written), labels=list(known.labels), images=known.size)
    else:
        report(f"{len(vectors):,} images enrolled; {known.size:,} of {len(known.labels):,} labels")
        typer.echo(written)


def identify(
    images: Images,
    gallery: GalleryFolder,
    k: Annotated[
        int, typer.Option("--nearest", "-k", min=1, metavar="N", help="Labels an image.")
    ] = 1,
    model: ModelName = "",
    json: Json = False,
    server: Server = DEFAULT_SERVER,
    timeout: Timeout = DEFAULT_SECONDS,
) -> None:
    """Print which labels of a gallery have the images that are nearest to each image.

    Columns: image, rank, label, distance, and "yes" where the distance is within the gallery's
    threshold, "no" where the image shows somebody else.
    """
    paths = image_paths(images)
    galleries = _galleries()
    with reported_model_errors(), connect(server, timeout) as client:
        known = galleries.Gallery.load(gallery)

        def identified(found: ImageVector) -> Identification:
            known.check_model(found.model.name, found.model.version or 0)
            return known.nearest(found.values, k)

        print_answers(
            _embedded(client, paths, _asked_model(model, known)),
            columns=_COLUMNS,
            rows=lambda found: _rows(identified(found)),
            values=lambda found: _values(identified(found), found.model),
            json=json,
        )


def _labelled_paths(
    label: str | None, images: Sequence[str], identities: Path | None
) -> dict[Path, str]:
    """The label of each file."""
    if (label is None) == (identities is None) or bool(images) != (label is not None):
        raise typer.BadParameter("give --label with IMAGES, or --identities")
    if label is not None:
        return dict.fromkeys(image_paths(images), label)
    folder = identities or Path()
    folders = sorted(one for one in folder.iterdir() if one.is_dir() and one.name[0] != ".")
    if not folders:
        raise CommandError(f"{folder} has no folders; give it one of images for each label")
    return {path: one.name for one in folders for path in image_paths([str(one)])}


def _asked_model(model: str, known: Gallery | None) -> Model:
    """The model that is named, or that which made the gallery, or else the server's default."""
    if model or known is None:
        return model_named(model)
    return ModelVersion(name=known.model.name, version=known.model.version)


def _embedded(
    client: Client, paths: Sequence[Path], model: Model
) -> Iterator[tuple[Path, ImageVector | DragomanClientError]]:
    return looked_at(paths, lambda batch: client.embed_images(batch, model=model))


def _new_gallery(client: Client, image: Path, model: ModelVersion) -> Gallery:
    """An empty gallery of the model; its threshold is what it compares an image with itself by."""
    galleries = _galleries()
    threshold = client.verify(image, image, model=model).threshold
    made_by = galleries.EmbeddingModel(
        name=model.name, version=model.version or 0, threshold=threshold
    )
    return galleries.Gallery(made_by)


def _galleries() -> Any:
    """The module of galleries; raises `CommandError` where its extra is not installed."""
    with needs_extra(_EXTRA):
        from dragoman_models.vision.verification import gallery

    return gallery


def _name_folder(gallery: Path) -> Path:
    """The folder of all versions, where that of one was given."""
    from dragoman_models.bundle import is_version

    return gallery.absolute().parent if is_version(gallery.absolute().name) else gallery


def _values(found: Identification, model: ModelVersion) -> dict[str, Any]:
    return {
        "label": found.label,
        "matches": found.matches,
        "threshold": found.threshold,
        **model_values(model),
    }


def _rows(found: Identification) -> Iterator[tuple[str, ...]]:
    for rank, match in enumerate(found.matches, start=1):
        within = "yes" if match.within_threshold else "no"
        yield str(rank), match.label, f"{match.distance:.4f}", within

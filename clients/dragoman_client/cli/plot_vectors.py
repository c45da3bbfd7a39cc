"""`dragoman plot-vectors`: a map or a heat map of words, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import chosen, reported_model_errors
from dragoman_client.cli.reporting import report

_DEFAULT = "glove-100d"


def plot_vectors(
    words: Annotated[list[str], typer.Argument(metavar="WORDS...", help="The words to show.")],
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="The picture: .png, .svg, .pdf or .html.")
    ],
    vectors: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH", show_default=f"the shipped {_DEFAULT}",
            help="A bundle NAME/VERSION, or a file of vectors.",
        ),
    ] = None,
    projection: Annotated[
        str, typer.Option(metavar="NAME", help="pca or tsne: how the map is made.")
    ] = "pca",
    neighbors: Annotated[
        int, typer.Option(min=0, max=100, metavar="N", help="Nearest words shown around each.")
    ] = 5,
    heat_map: Annotated[
        bool, typer.Option("--heat-map", help="Show the cosines of the words instead of a map.")
    ] = False,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, metavar="N", help="For t-SNE.")] = 0,
) -> None:  # fmt: skip
    """Draw a map of words and their nearest words, or the heat map of their cosines."""
    with needs_extra("plot"):
        from dragoman_models.drawing_fonts import missing_letters
        from dragoman_models.embeddings.import_vectors import load_word_vectors
        from dragoman_models.embeddings.word_drawing import draw_heat_map, draw_map
        from dragoman_models.embeddings.word_map import (
            MapOptions,
            Projection,
            cosine_matrix,
            known_words,
            map_words,
        )
        from dragoman_models.picture_file import check_picture_name
    rule = chosen(Projection, projection, "--projection")
    with reported_model_errors(), needs_extra("plot"):
        check_picture_name(out)
        model = load_word_vectors(vectors or _shipped())
        if heat_map:
            shown = known_words(model, words)
            draw_heat_map(shown, cosine_matrix(model, shown), out)
            what = f"the cosines of {len(shown):,} words"
        else:
            options = MapOptions(projection=rule, neighbors=neighbors, seed=seed)
            word_map = map_words(model, words, options)
            draw_map(word_map, out)
            shown, what = list(word_map.words), f"a map of {len(word_map.words):,} words"
        missing = missing_letters(shown)
    report(what)
    if missing and out.suffix.lower() in (".png", ".pdf"):
        report(
            f"no font of this machine has {missing!r}, so that boxes stand for it; .svg and .html "
            "leave letters to the fonts of whoever looks at them"
        )
    typer.echo(out)


def _shipped() -> Path:
    import dragoman_models

    return Path(dragoman_models.__file__).parent / "pretrained" / _DEFAULT / "1"

"""`dragoman plot-vectors`: a map or a heat map of words, as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import chosen, reported_model_errors
from dragoman_client.cli.picture_option import mention_missing_letters
from dragoman_client.cli.reporting import report

_DEFAULT = "glove-100d"


Words = Annotated[list[str], typer.Argument(metavar="WORDS...", help="The words to show.")]
Out = Annotated[Path, typer.Option(metavar="FILE", help="The picture: .png, .svg, .pdf or .html.")]
Vectors = Annotated[
    Path | None,
    typer.Option(
        metavar="PATH", show_default=f"the shipped {_DEFAULT}",
        help="A bundle NAME/VERSION, or a file of vectors.",
    ),
]  # fmt: skip
ProjectionName = Annotated[
    str, typer.Option(metavar="NAME", help="pca or tsne: how the map is made.")
]
Neighbors = Annotated[
    int, typer.Option(min=0, max=100, metavar="N", help="Nearest words shown around each.")
]
HeatMap = Annotated[
    bool, typer.Option("--heat-map", help="Show the cosines of the words instead of a map.")
]
Seed = Annotated[int, typer.Option(min=0, max=2**32 - 1, metavar="N", help="For t-SNE.")]


def plot_vectors(
    words: Words,
    out: Out,
    vectors: Vectors = None,
    projection: ProjectionName = "pca",
    neighbors: Neighbors = 5,
    heat_map: HeatMap = False,
    seed: Seed = 0,
) -> None:
    """Draw a map of words and their nearest words, or the heat map of their cosines."""
    with needs_extra("plot"):
        from dragoman_models.embeddings import word_map
        from dragoman_models.embeddings.import_vectors import load_word_vectors
        from dragoman_models.embeddings.word_drawing import draw_heat_map, draw_map
        from dragoman_models.picture_file import check_picture_name
    rule = chosen(word_map.Projection, projection, "--projection")
    with reported_model_errors(), needs_extra("plot"):
        check_picture_name(out)
        model = load_word_vectors(vectors or _shipped())
        if heat_map:
            shown = word_map.known_words(model, words)
            draw_heat_map(shown, word_map.cosine_matrix(model, shown), out)
            what = f"the cosines of {len(shown):,} words"
        else:
            options = word_map.MapOptions(projection=rule, neighbors=neighbors, seed=seed)
            drawn = word_map.map_words(model, words, options)
            draw_map(drawn, out)
            shown, what = list(drawn.words), f"a map of {len(drawn.words):,} words"
    report(what)
    mention_missing_letters(shown, out)
    typer.echo(out)


def _shipped() -> Path:
    import dragoman_models

    return Path(dragoman_models.__file__).parent / "pretrained" / _DEFAULT / "1"

"""How hard each alphabet of Omniglot is: one-shot errors of the modified Hausdorff distance and of
the shipped embedder.

    python -m tests.benchmarks.vision.compare_alphabets --data FOLDER [--episodes 100]

FOLDER holds images_background_small1.zip and images_background_small2.zip. The embedder's card says
which alphabets it learnt from, and which steered it: its errors on those are no measure of it.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import dragoman_models
from dragoman_models.bundle import read_bundle
from dragoman_models.registry import load_model
from dragoman_models.vision.verification.hausdorff import hausdorff_distances
from dragoman_models.vision.verification.image_embedder import ImageEmbedder
from dragoman_models.vision.verification.measure import OMNIGLOT_SIZE
from dragoman_models.vision.verification.network import embedded
from dragoman_models.vision.verification.omniglot import read_omniglot
from dragoman_models.vision.verification.one_shot import (
    draw_episodes,
    one_shot_figures,
    vector_distances,
)

SEED = 2015
PRETRAINED = Path(dragoman_models.__file__).parent / "pretrained"


def main() -> None:
    """Prints a row for each alphabet: ways, and both errors in percent."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, default=PRETRAINED / "omniglot" / "2")
    parser.add_argument("--episodes", type=int, default=100)
    options = parser.parse_args()
    files = [options.data / f"images_background_small{part}.zip" for part in (1, 2)]
    model = load_model(read_bundle(options.model))
    if not isinstance(model, ImageEmbedder):
        parser.error(f"--model: {options.model} embeds no images")
    config = model.network.config
    plain = read_omniglot(files, size=OMNIGLOT_SIZE, color="grey")
    framed = read_omniglot(
        files, size=config.image_size, color=config.color, framing=config.framing
    )
    for group in plain.groups:
        drawn = plain.only_groups((group,))
        ways = min(20, drawn.class_count)
        runs = draw_episodes(
            drawn, protocol="within", ways=ways, episodes=options.episodes, seed=SEED
        )
        vectors = embedded(model.network, framed.only_groups((group,)).pixels)
        errors = [
            100 * (1 - one_shot_figures(runs, distances).accuracy)
            for distances in (hausdorff_distances(drawn.pixels), vector_distances(vectors))
        ]
        print(f"{group:24} {ways:3}-way  Hausdorff {errors[0]:5.1f} %  model {errors[1]:5.1f} %")


if __name__ == "__main__":
    main()

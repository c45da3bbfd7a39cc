"""`dragoman train classifier`: from scratch by a recipe, or a head on an imported backbone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.progress import Advance, progress
from dragoman_client.cli.reporting import report
from dragoman_client.cli.training_options import (
    SAME_COMMAND,
    RunFolder,
    Threads,
    how_to_resume,
    interruptible,
)

_MOST_NAMED = 20  # files left out that are named one by one


Recipe = Annotated[
    Path | None,
    typer.Option(metavar="RECIPE", help="A recipe, as TOML: train a network from scratch."),
]
Images = Annotated[
    Path | None,
    typer.Option(
        metavar="DIR", help="A folder of each class's images: train a head on --backbone."
    ),
]
Backbone = Annotated[
    Path | None, typer.Option(metavar="BUNDLE", help="As `dragoman import-classifier` writes it.")
]
Bundle = Annotated[
    Path | None,
    typer.Option(
        metavar="NAME/VERSION", show_default="FOLDER/models/my-classifier/1",
        help="The bundle that --images ends with.",
    ),
]  # fmt: skip
ValidShare = Annotated[float, typer.Option(metavar="SHARE", help="Of --images, to choose by.")]
TestShare = Annotated[float, typer.Option(metavar="SHARE", help="Of --images, to measure on.")]
Seed = Annotated[int, typer.Option(metavar="N", help="Divides --images.")]
Data = Annotated[str, typer.Option(metavar="TEXT", help="What the images are: for the card.")]
DataLicense = Annotated[
    str, typer.Option(metavar="SPDX", help="The images' licence: for the card.")
]
Attribution = Annotated[
    str, typer.Option(metavar="TEXT", help="Whom to name for the images: for the card.")
]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from where the run was stopped.")]


def classifier(
    out: RunFolder,
    config: Recipe = None,
    images: Images = None,
    backbone: Backbone = None,
    bundle: Bundle = None,
    valid_share: ValidShare = 0.15,
    test_share: TestShare = 0.15,
    seed: Seed = 1,
    data: Data = "images of the trainer's own",
    data_license: DataLicense = "not stated",
    attribution: Attribution = "not stated",
    resume: Resume = False,
    threads: Threads = 1,
) -> None:
    """Train an image classifier; Ctrl-C stops it, and --resume goes on.

    With --config, from scratch. With --images and --backbone, a new last layer on a published
    network: a folder of some dozens of images a class is enough.
    """
    if (config is None) == (images is None):
        raise typer.BadParameter("give one of --config and --images", param_hint="--config")
    if images is not None and backbone is None:
        raise typer.BadParameter(
            "--images needs it; dragoman import-classifier writes one", param_hint="--backbone"
        )
    given: dict[str, Any] = dict(locals())
    with interruptible(lambda: _advice(out, config)):
        if config is not None:
            typer.echo(_from_scratch(config, out, resume=resume, threads=threads))
        else:
            typer.echo(_head(given))


def _from_scratch(config: Path, out: Path, *, resume: bool, threads: int) -> Path:
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.vision.classification.recipe import read_recipe
        from dragoman_models.vision.classification.trainer import ClassifierTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    return ClassifierTrainer(read_recipe(config), out, resume=resume).run()


def _head(given: dict[str, Any]) -> Path:
    with needs_extra("backbone"):
        import onnxruntime  # noqa: F401 - told now, and not after the images are read
        import torch

        from dragoman_models.vision.classification.fine_tuning import FineTuningOptions, fine_tune
    torch.set_num_threads(given["threads"])
    names = (
        "images", "backbone", "out", "valid_share", "test_share", "seed", "data", "data_license",
        "attribution",
    )  # fmt: skip
    bundle: Path = given["bundle"] or given["out"] / "models" / "my-classifier" / "1"
    options = FineTuningOptions(
        **{name: given[name] for name in names}, bundle=bundle, command=_command(given, bundle)
    )
    with progress() as advance:
        done = fine_tune(options, resume=given["resume"], on_progress=_counted(advance))
    _report(done)
    return bundle


def _counted(advance: Advance) -> Any:
    """From how many are done to how many more."""
    before: dict[str, int] = {}

    def told(what: str, done: int, total: int) -> None:
        advance(what, done - before.get(what, 0), total)
        before[what] = done

    return told


def _report(done: Any) -> None:
    for path, reason in done.folder.skipped[:_MOST_NAMED]:
        report(f"left out {path}: {reason}")
    if len(done.folder.skipped) > _MOST_NAMED:
        report(f"left out {len(done.folder.skipped):,} in all")
    split = done.split
    report(
        f"{len(done.folder.labels):,} classes; {len(split.train):,} images to learn from, "
        f"{len(split.valid):,} to choose by, {len(split.test):,} to measure on"
    )
    for name, figures in (("to choose by", done.valid), ("to measure on", done.test)):
        if figures is not None:
            report(f"{100 * figures.accuracy:.2f} % right of those {name}")


def _command(given: dict[str, Any], bundle: Path) -> str:
    """The command as another would type it: without this machine's folders."""
    base: Path = given["backbone"].absolute()
    words = ["dragoman", "train", "classifier", "--images", given["images"].absolute().name]
    words += ["--backbone", f"{base.parent.name}/{base.name}", "--out", "run"]
    words += ["--bundle", f"{bundle.absolute().parent.name}/{bundle.name}"]
    for name in ("valid_share", "test_share", "seed", "data", "data_license", "attribution"):
        words += [f"--{name.replace('_', '-')}", str(given[name])]
    return shlex.join(words)


def _advice(out: Path, config: Path | None) -> str:
    if config is not None:
        return how_to_resume("classifier", out, config=config)
    if not (out / "features.safetensors").exists():
        return "nothing is kept yet to go on from"
    return SAME_COMMAND

"""`dragoman train classifier`: from scratch by a recipe, or a head on an imported backbone."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import reported_model_errors
from dragoman_client.cli.progress import Advance, progress
from dragoman_client.cli.reporting import report

_INTERRUPTED = 130
_MOST_NAMED = 20  # files left out that are named one by one


def classifier(
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="The folder of this run.")],
    config: Annotated[
        Path | None,
        typer.Option(metavar="RECIPE", help="A recipe, as TOML: train a network from scratch."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="A folder of each class's images: train a head on --backbone."
        ),
    ] = None,
    backbone: Annotated[
        Path | None,
        typer.Option(metavar="BUNDLE", help="As `dragoman import-classifier` writes it."),
    ] = None,
    bundle: Annotated[
        Path | None,
        typer.Option(
            metavar="NAME/VERSION", show_default="FOLDER/models/my-classifier/1",
            help="The bundle that --images ends with.",
        ),
    ] = None,
    valid_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Of --images, to choose by.")
    ] = 0.15,
    test_share: Annotated[
        float, typer.Option(metavar="SHARE", help="Of --images, to measure on.")
    ] = 0.15,
    seed: Annotated[int, typer.Option(metavar="N", help="Divides --images.")] = 1,
    data: Annotated[
        str, typer.Option(metavar="TEXT", help="What the images are: for the card.")
    ] = "images of the trainer's own",
    data_license: Annotated[
        str, typer.Option(metavar="SPDX", help="The images' licence: for the card.")
    ] = "not stated",
    attribution: Annotated[
        str, typer.Option(metavar="TEXT", help="Whom to name for the images: for the card.")
    ] = "not stated",
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from where the run was stopped.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, metavar="N", help="Threads to compute with.")] = 1,
) -> None:  # fmt: skip
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
    try:
        if config is not None:
            typer.echo(_from_scratch(config, out, resume=resume, threads=threads))
        else:
            typer.echo(_head(given))
    except KeyboardInterrupt as error:
        report(f"interrupted; {_advice(given)}")
        raise typer.Exit(_INTERRUPTED) from error


def _from_scratch(config: Path, out: Path, *, resume: bool, threads: int) -> Path:
    with needs_extra("train"):
        import torch

        from dragoman_models.allocation import keep_freed_memory
        from dragoman_models.vision.classification.recipe import read_recipe
        from dragoman_models.vision.classification.trainer import ClassifierTrainer
    torch.set_num_threads(threads)
    keep_freed_memory()
    with reported_model_errors():
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
    with progress() as advance, reported_model_errors():
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


def _advice(given: dict[str, Any]) -> str:
    out: Path = given["out"]
    if not any((out / name).exists() for name in ("checkpoint.pt", "features.safetensors")):
        return "nothing is kept yet to go on from"
    if given["config"] is None:
        return "the same command with --resume goes on"
    words = ["dragoman", "train", "classifier", "--config", given["config"], "--out", out]
    return f"go on with: {shlex.join(map(str, words))} --resume"

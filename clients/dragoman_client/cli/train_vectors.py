"""`dragoman train word2vec` and `dragoman train glove`: word vectors from plain text."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from dragoman_client.cli.extras import needs_extra
from dragoman_client.cli.model_errors import chosen
from dragoman_client.cli.training_options import SAME_COMMAND, Resume, RunFolder, interruptible
from dragoman_client.cli.word_sets import Analogies, Similarity, read_word_sets

Config = Annotated[
    Path | None, typer.Option(metavar="RECIPE", help="A recipe, as TOML; flags go before it.")
]
Corpus = Annotated[
    list[Path] | None,
    typer.Option(
        metavar="FILE", help="Text, UTF-8, plain or .gz, or a folder of *.txt[.gz]; repeatable."
    ),
]
Bundle = Annotated[
    Path | None,
    typer.Option(
        metavar="NAME/VERSION", show_default="FOLDER/models/word-vectors/1", help="The bundle."
    ),
]
Dimensions = Annotated[int | None, typer.Option(metavar="N", help="Components of a vector.")]
Window = Annotated[int | None, typer.Option(metavar="N", help="Words on each side.")]
MinCount = Annotated[int | None, typer.Option(metavar="N", help="Leave out rarer words.")]
Epochs = Annotated[int | None, typer.Option(metavar="N", help="Passes over the text.")]
Threads = Annotated[int | None, typer.Option(metavar="N", help="Threads to compute with.")]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Of all random choices.")]
LearningRate = Annotated[float | None, typer.Option(metavar="RATE", help="At the start.")]
Setting = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="NAME=VALUE", help="Any other setting of the recipe; repeatable."
    ),
]
Data = Annotated[str | None, typer.Option(metavar="TEXT", help="What the text is: for the card.")]
DataLicense = Annotated[
    str | None, typer.Option(metavar="SPDX", help="The text's licence: for the card.")
]
Attribution = Annotated[
    str | None, typer.Option(metavar="TEXT", help="Whom to name for the text: for the card.")
]
Language = Annotated[str | None, typer.Option(metavar="TAG", help="BCP 47, such as en.")]
Encoding = Annotated[
    str, typer.Option(metavar="ENCODING", help="float32, int16-rows or int8-rows, in the bundle.")
]


def word2vec(
    out: RunFolder,
    config: Config = None,
    corpus: Corpus = None,
    resume: Resume = False,
    bundle: Bundle = None,
    architecture: Annotated[
        str | None, typer.Option(metavar="NAME", help="skip-gram or cbow.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", help="negative-sampling, hierarchical-softmax or full-softmax."
        ),
    ] = None,
    negatives: Annotated[int | None, typer.Option(metavar="N", help="Noise words.")] = None,
    subsampling: Annotated[
        float | None, typer.Option(metavar="T", help="Thin out words above this frequency.")
    ] = None,
    continue_from: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="A finished run to learn on from.")
    ] = None,
    dimensions: Dimensions = None,
    window: Window = None,
    min_count: MinCount = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    threads: Threads = None,
    seed: Seed = None,
    setting: Setting = None,
    data: Data = None,
    data_license: DataLicense = None,
    attribution: Attribution = None,
    language: Language = None,
    encoding: Encoding = "float32",
    analogies: Analogies = None,
    similarity: Similarity = None,
) -> None:
    """Train word2vec on plain text; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        from dragoman_models.embeddings.training.recipe import Word2VecRecipe
        from dragoman_models.embeddings.training.word2vec_trainer import Word2VecTrainer
    flags = locals()
    _train("word2vec", Word2VecRecipe, Word2VecTrainer, flags)


def glove(
    out: RunFolder,
    config: Config = None,
    corpus: Corpus = None,
    resume: Resume = False,
    bundle: Bundle = None,
    dimensions: Dimensions = None,
    window: Window = None,
    min_count: MinCount = None,
    epochs: Epochs = None,
    learning_rate: LearningRate = None,
    threads: Threads = None,
    seed: Seed = None,
    setting: Setting = None,
    data: Data = None,
    data_license: DataLicense = None,
    attribution: Attribution = None,
    language: Language = None,
    encoding: Encoding = "float32",
    analogies: Analogies = None,
    similarity: Similarity = None,
) -> None:
    """Train GloVe on plain text; Ctrl-C stops it, and --resume goes on."""
    with needs_extra("train"):
        from dragoman_models.embeddings.training.glove_trainer import GloveTrainer
        from dragoman_models.embeddings.training.recipe import GloveRecipe
    flags = locals()
    _train("glove", GloveRecipe, GloveTrainer, flags)


# The flags that are settings of a recipe, by its names.
_SETTINGS = (
    "architecture", "objective", "negatives", "subsampling", "continue_from", "dimensions",
    "window", "min_count", "epochs", "learning_rate", "threads", "seed", "corpus",
)  # fmt: skip


def _train(kind: str, recipe_type: Any, trainer: Callable[..., Any], flags: dict[str, Any]) -> None:
    from dragoman_models.bundle import check_new_folder
    from dragoman_models.embeddings.quantization import VectorEncoding
    from dragoman_models.embeddings.training.recipe import read_recipe

    out: Path = flags["out"]
    bundle: Path = flags["bundle"] or out / "models" / "word-vectors" / "1"
    overrides = {n: flags[n] for n in _SETTINGS if flags.get(n) is not None}
    with interruptible(lambda: SAME_COMMAND):
        recipe = read_recipe(
            recipe_type, flags["config"], overrides | _parsed(flags["setting"] or [])
        )
        encoding = chosen(VectorEncoding, flags["encoding"], "--encoding")
        sets = read_word_sets(flags["analogies"], flags["similarity"])
        check_new_folder(bundle)  # now, rather than after hours of training
        trained = trainer(recipe, out, resume=flags["resume"]).run()
        _write_bundle(kind, bundle, trained, recipe, flags, sets, encoding)
    typer.echo(bundle)


def _parsed(settings: list[str]) -> dict[str, Any]:
    """The settings of --set: values as in TOML, or plain text."""
    parsed: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        if not (name.strip() and equals):
            raise typer.BadParameter(f"{setting!r} is not NAME=VALUE", param_hint="--set")
        try:
            parsed[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            parsed[name.strip()] = value.strip()
    return parsed


def _write_bundle(
    kind: str, bundle: Path, trained: Any, recipe: Any, flags: dict[str, Any], sets: Any,
    encoding: Any,
) -> None:  # fmt: skip
    from dragoman_models.embeddings.training.vector_bundle import BundleFacts, write_trained_vectors

    facts = BundleFacts(
        command=_command(kind, bundle, recipe, flags),
        data=flags["data"],
        license=flags["data_license"],
        attribution=flags["attribution"],
        language=flags["language"],
    )
    write_trained_vectors(bundle, trained, recipe, facts=facts, encoding=encoding, sets=sets)


def _command(kind: str, bundle: Path, recipe: Any, flags: dict[str, Any]) -> str:
    """The command as another would type it: without this machine's folders."""
    from dragoman_models.embeddings.training.vector_bundle import settings_of

    words = ["dragoman", "train", kind, "--out", "run"]
    for file in recipe.corpus:
        words += ["--corpus", file.absolute().name]
    if getattr(recipe, "continue_from", None) is not None:
        words += ["--continue-from", recipe.continue_from.absolute().name]
    usual = settings_of(type(recipe)(corpus=recipe.corpus))
    for name, value in settings_of(recipe).items():
        if value != usual.get(name):
            text = str(value).lower() if isinstance(value, bool) else str(value)
            words += ["--set", f"{name}={text}"]
    words += ["--bundle", f"{bundle.absolute().parent.name}/{bundle.name}"]
    words += ["--encoding", flags["encoding"]]
    if flags["analogies"] is not None:
        words += ["--analogies", flags["analogies"].name]
    for item in flags["similarity"] or []:
        name, _, file = item.partition("=")
        words += ["--similarity", f"{name}={Path(file).name}"]
    return shlex.join(words)

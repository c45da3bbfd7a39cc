"""Bundles on disk become models: sound ones answer, broken ones are refused with the reason."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from dragoman.v1 import model_pb2, model_service_pb2
from dragoman_models.bundle import Bundle
from dragoman_models.errors import (
    InvalidInputError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelNotLoadedError,
)
from dragoman_server.bundle_loading import BundleLoader
from dragoman_server.errors import ConfigError
from dragoman_server.live_models import LiveModels
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelState, ModelVersion
from dragoman_server.repository_scan import RepositoryFolders, shipped_repository
from dragoman_server.served_families import EMBEDDING_SERVICE, TRANSLATION_SERVICE

if TYPE_CHECKING:
    from tests.server.conftest import BundleFolder, ServerFactory


def versions_in(folders: Sequence[Path]) -> list[ModelVersion]:
    return RepositoryFolders(folders).scan().versions()


async def loaded(*folders: Path, **options: Any) -> ModelRepository:
    repository = ModelRepository(versions_in(folders))
    await LiveModels(repository, loader=BundleLoader(**options)).load_all()
    return repository


def states(repository: ModelRepository) -> dict[str, ModelState]:
    return {str(version): version.state for version in repository.versions()}


async def test_the_highest_ready_version_is_current(bundles: BundleFolder) -> None:
    for version in (2, 10, 9):
        bundles.add_word_vectors("animals", version)
    repository = await loaded(bundles.path)
    assert list(states(repository)) == ["animals/2", "animals/9", "animals/10"]
    assert repository.select(EMBEDDING_SERVICE, "", None).version == 10
    assert repository.select(EMBEDDING_SERVICE, "animals", 2).version == 2


def cut_weights(folder: Path) -> None:
    weights = folder / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def drop_checksums(folder: Path) -> None:
    (folder / "SHA256SUMS").unlink()


def change_checksum(folder: Path) -> None:
    sums = folder / "SHA256SUMS"
    first = sums.read_text()[0]
    sums.write_text(("1" if first == "0" else "0") + sums.read_text()[1:])


@pytest.mark.parametrize("damage", [cut_weights, drop_checksums, change_checksum])
async def test_a_broken_bundle_is_refused_and_the_rest_serve(
    bundles: BundleFolder, damage: Callable[[Path], None]
) -> None:
    bundles.add_word_vectors("animals", 1)
    damage(bundles.add_word_vectors("animals", 2))
    repository = await loaded(bundles.path)
    assert states(repository) == {
        "animals/1": ModelState.READY,
        "animals/2": ModelState.FAILED,
    }
    assert repository.select(EMBEDDING_SERVICE, "animals", None).version == 1
    with pytest.raises(ModelNotLoadedError, match=r"version 2: .*SHA256SUMS|checksum|bytes"):
        repository.select(EMBEDDING_SERVICE, "animals", 2)
    reason = repository.describe("animals", 2).failure_reason
    assert reason
    assert "\n" not in reason
    assert str(bundles.path) not in reason  # a caller has no business with the server's folders


def change_family(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "family": "telepathy"}))


async def test_a_refused_version_of_another_family_leaves_the_old_one_its_calls(
    bundles: BundleFolder,
) -> None:
    bundles.add_word_vectors("animals", 1)
    change_family(bundles.add_word_vectors("animals", 2))
    repository = await loaded(bundles.path)
    assert states(repository)["animals/2"] is ModelState.FAILED
    assert repository.select(EMBEDDING_SERVICE, "animals", None).version == 1
    with pytest.raises(InvalidInputError, match="telepathy"):
        repository.select(EMBEDDING_SERVICE, "animals", 2)


async def test_a_model_of_which_nothing_loads_says_why(bundles: BundleFolder) -> None:
    change_checksum(bundles.add_word_vectors("animals"))
    repository = await loaded(bundles.path)
    with pytest.raises(ModelNotLoadedError, match="version 1"):
        repository.select(EMBEDDING_SERVICE, "", None)
    assert repository.ready_services() == frozenset()


async def test_a_model_that_fails_when_warmed_up_is_refused(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("animals")

    def load(_: Bundle) -> object:
        return object()  # answers nothing

    repository = await loaded(bundles.path, load=load)
    version = repository.describe("animals", None)
    assert version.state is ModelState.FAILED
    assert "AttributeError" in version.failure_reason


def test_before_loading_a_model_asks_for_patience(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("animals")
    repository = ModelRepository(versions_in([bundles.path]))
    with pytest.raises(ModelLoadingError):
        repository.select(EMBEDDING_SERVICE, "animals", None)
    assert repository.describe("animals", None).family == "word-vectors"


def test_what_is_not_named_like_a_bundle_is_passed_over(bundles: BundleFolder) -> None:
    bundles.add_word_vectors("animals")
    for folder in ("UPPER/1", "animals/one", "animals/01", ".hidden/1", "animals/.1.x.tmp"):
        (bundles.path / folder).mkdir(parents=True)
    (bundles.path / "readme").write_text("a file named like a model")
    (bundles.path / "animals" / "7").write_text("a file named like a version")
    assert [str(version) for version in versions_in([bundles.path])] == ["animals/1"]


async def test_a_foreign_folder_is_listed_with_the_reason(bundles: BundleFolder) -> None:
    folder = bundles.path / "foreign" / "1"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("[" * 100_000)
    repository = await loaded(bundles.path)
    version = repository.describe("foreign", None)
    assert (version.state, version.family) == (ModelState.FAILED, "")


def test_the_first_folder_with_a_version_gives_it(bundles: BundleFolder, tmp_path: Path) -> None:
    mine = bundles.add_word_vectors("animals")
    other = tmp_path / "other"
    (other / "animals" / "1").mkdir(parents=True)
    (other / "animals" / "2").mkdir()
    found = versions_in([bundles.path, other])
    assert [version.path for version in found] == [mine, other / "animals" / "2"]


@pytest.mark.parametrize("name", ["missing", "file"])
def test_a_repository_that_cannot_be_read_names_the_setting(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="model_repositories"):
        versions_in([tmp_path / name])


def version_of(name: str, family: str) -> ModelVersion:
    return ModelVersion(
        name=name, version=1, path=Path(name), size_bytes=1, config={"family": family}
    )


FOUND = [
    version_of("de-en", "translation"),
    version_of("fr-en", "translation"),
    version_of("glove", "word-vectors"),
]


def test_the_only_model_of_a_service_is_its_default() -> None:
    repository = ModelRepository([*FOUND[:1], version_of("es-en", "translation"), *FOUND[2:]])
    assert repository.default_name(EMBEDDING_SERVICE) == "glove"
    assert repository.default_name(TRANSLATION_SERVICE) is None
    with pytest.raises(InvalidInputError, match=r"model\.name: is empty.*de-en, es-en"):
        repository.select(TRANSLATION_SERVICE, "", None)


def test_the_usual_model_of_a_service_is_its_default_among_several() -> None:
    assert ModelRepository(FOUND).default_name(TRANSLATION_SERVICE) == "fr-en"


def test_a_configured_default_answers() -> None:
    repository = ModelRepository(FOUND, defaults={TRANSLATION_SERVICE: "fr-en"})
    fr_en, glove = repository.describe("fr-en", None), repository.describe("glove", None)
    assert repository.default_for(fr_en) == (TRANSLATION_SERVICE,)
    assert repository.default_for(repository.describe("de-en", None)) == ()
    assert repository.default_for(glove) == (EMBEDDING_SERVICE,)


@pytest.mark.parametrize("name", ["none", "glove"])
def test_a_default_that_cannot_answer_names_the_setting(name: str) -> None:
    with pytest.raises(ConfigError, match=r"default_models\.translation: .*de-en, fr-en"):
        ModelRepository(FOUND, defaults={TRANSLATION_SERVICE: name})


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(ModelNotFoundError, match="de-en, fr-en, glove"):
        ModelRepository(FOUND).select(TRANSLATION_SERVICE, "it-en", None)
    with pytest.raises(ModelNotFoundError, match="it has: 1"):
        ModelRepository(FOUND).describe("fr-en", 4)


async def test_a_model_is_described_from_its_bundle(
    bundles: BundleFolder, server_with: ServerFactory
) -> None:
    folder = bundles.add_word_vectors("animals", 3)
    repository = await loaded(bundles.path)
    async with server_with(versions=repository.versions()) as server:
        selector = model_pb2.ModelSelector(name="animals")
        request = model_service_pb2.GetModelRequest(model=selector)
        response = await server.models.GetModel(request)
    info = response.model
    config = json.loads((folder / "config.json").read_text())
    assert (info.name, info.version, info.current) == ("animals", 3, True)
    assert info.state == model_pb2.MODEL_STATE_READY
    assert (info.vocabulary_size, info.dimensions) == (
        config["vocabulary_size"],
        config["dimensions"],
    )
    assert info.parameter_count == config["parameter_count"]
    assert info.license == "CC0-1.0"
    assert info.size_bytes == sum(file.stat().st_size for file in folder.iterdir())
    assert dict(info.metrics) == {"test.accuracy": 0.5, "test.items": 3}
    assert info.load_duration.ToNanoseconds() > 0
    assert list(info.services) == list(info.default_for) == [EMBEDDING_SERVICE]
    assert response.card.startswith("# Animals")


def test_shipped_models_are_found() -> None:
    names = {version.name for version in versions_in([shipped_repository()])}
    assert {"glove-100d", "word2vec-books"} <= names


def test_of_several_word_vectors_the_usual_ones_are_the_default() -> None:
    shipped = versions_in([shipped_repository()])
    assert ModelRepository(shipped).default_name(EMBEDDING_SERVICE) == "glove-100d"
    chosen = ModelRepository(shipped, defaults={EMBEDDING_SERVICE: "word2vec-books"})
    assert chosen.default_name(EMBEDDING_SERVICE) == "word2vec-books"
    others = [version_of(name, "word-vectors") for name in ("ab", "cd")]
    assert ModelRepository(others).default_name(EMBEDDING_SERVICE) is None

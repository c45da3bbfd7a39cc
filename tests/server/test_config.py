"""Where settings come from, which source wins, and that nothing wrong is passed over."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dragoman_models.translation.arithmetic.choice import Arithmetic
from dragoman_server.config import Limits, ServerSettings, load_settings
from dragoman_server.errors import ConfigError


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "dragoman.toml"
    path.write_text(
        'address = "0.0.0.0:1"\nworker_threads = 3\nmax_queued_calls = 5\n'
        'model_repositories = ["mine"]\n[limits]\nwords = 7\npairs = 8\n'
        '[default_models]\ntranslation = "fr-en"\n'
    )
    return path


def test_defaults_are_those_of_the_api() -> None:
    settings = load_settings()
    assert settings.address == "127.0.0.1:50051"
    assert settings.limits == Limits(
        message_bytes=4 * 1024 * 1024,
        words=1_000,
        pairs=10_000,
        queries=1_000,
        neighbors=100_000,
        sources=1_024,
        source_characters=10_000,
        segments=100_000,
        images=64,
        image_pairs=32,
        image_bytes=16 * 1024 * 1024,
        image_pixels=50_000_000,
        image_message_bytes=16 * 1024 * 1024,
    )


def test_flags_win_over_environment_over_file_over_defaults(
    config_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DRAGOMAN_WORKER_THREADS", "4")
    monkeypatch.setenv("DRAGOMAN_TRANSLATION_ARITHMETIC", "int8")
    monkeypatch.setenv("DRAGOMAN_ADDRESS", "0.0.0.0:2")
    monkeypatch.setenv("DRAGOMAN_LIMITS__WORDS", "9")
    settings = load_settings(config_file, address="0.0.0.0:3", log_level=None)
    assert settings.address == "0.0.0.0:3"  # a flag
    assert settings.worker_threads == 4  # the environment
    assert settings.translation_arithmetic is Arithmetic.INT8
    assert settings.max_queued_calls == 5  # the file
    assert settings.log_level == "info"  # the default: a flag of None was not given
    assert (settings.limits.words, settings.limits.pairs, settings.limits.queries) == (9, 8, 1_000)
    assert settings.default_models.translation == "fr-en"


def test_models_are_in_as_many_processes_as_are_set(monkeypatch: pytest.MonkeyPatch) -> None:
    cores = len(os.sched_getaffinity(0))
    assert load_settings().workers.counts() == {"translation": cores, "language_model": cores}
    assert load_settings().workers.vision_count() == 1
    monkeypatch.setenv("DRAGOMAN_WORKERS__TRANSLATION", "0")
    monkeypatch.setenv("DRAGOMAN_WORKERS__LANGUAGE_MODEL", "3")
    monkeypatch.setenv("DRAGOMAN_WORKERS__VISION", "auto")
    assert load_settings().workers.counts() == {"translation": 0, "language_model": 3}
    assert load_settings().workers.vision_count() == cores
    for wrong in ("-1", "many", "1.5"):
        monkeypatch.setenv("DRAGOMAN_WORKERS__TRANSLATION", wrong)
        with pytest.raises(ConfigError, match=r"workers\.translation"):
            load_settings()


def test_names_and_pins_of_models_are_set_by_tables(config_file: Path) -> None:
    config_file.write_text(
        '[models]\nwatch_seconds = 0\n[models.aliases]\nfrench = "fr-en/2"\n'
        "[models.pinned]\nfr-en = 2\n"
    )
    models = load_settings(config_file).models
    assert (models.watch_seconds, models.aliases, models.pinned) == (
        0, {"french": "fr-en/2"}, {"fr-en": 2}
    )  # fmt: skip
    config_file.write_text("[models]\nwatch = 1\n")
    with pytest.raises(ConfigError, match=r"models\.watch: there is no such .*watch_seconds"):
        load_settings(config_file)


def test_folders_in_the_file_are_relative_to_it(config_file: Path) -> None:
    assert load_settings(config_file).model_repositories == (config_file.parent / "mine",)


def test_folders_in_the_environment_are_written_as_in_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_MODEL_REPOSITORIES", f"/a{os.pathsep}b c")
    assert load_settings().model_repositories == (Path("/a"), Path("b c"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("adress = 'localhost:1'", "adress"),
        ("[limits]\nword = 1", "limits.word"),
        ("[limits]\nwords = 0", "limits.words"),
        ("[limits]\nwords = 'many'", "limits.words"),
        ("worker_threads = 0", "worker_threads"),
        ("drain_seconds = nan", "drain_seconds"),
        ("drain_seconds = -1", "drain_seconds"),
        ("log_level = 'loud'", "log_level"),
        ("translation_arithmetic = 'int4'", "translation_arithmetic"),
        ("translation_shortlist = 'some'", "translation_shortlist"),
        ("address = 'localhost'", "address"),
        ("address = 'localhost:65536'", "address"),
        ("address = ''", "address"),
        ("model_repositories = 3", "model_repositories"),
        ("limits = 3", "limits"),
    ],
)
def test_a_wrong_key_or_value_is_refused_by_name(tmp_path: Path, text: str, key: str) -> None:
    path = tmp_path / "wrong.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=rf"^{key}"):
        load_settings(path)


def test_all_wrong_keys_are_named_at_once() -> None:
    with pytest.raises(ConfigError) as caught:
        load_settings(worker_threads=0, max_queued_calls=-1)
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "worker_threads",
        "max_queued_calls",
    ]


@pytest.mark.parametrize(
    ("name", "meant"),
    [("DRAGOMAN_ADRESS", "DRAGOMAN_ADDRESS"), ("DRAGOMAN_LIMIT__WORDS", "DRAGOMAN_LIMITS")],
)
def test_a_misspelt_variable_is_refused(
    monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigError, match=f"{name}.*did you mean {meant}"):
        load_settings()


def test_variables_of_the_client_are_let_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_SERVER", "localhost:1")
    monkeypatch.setenv("DRAGOMAN_TIMEOUT", "3")
    assert load_settings() == ServerSettings()


def test_a_wrong_variable_of_a_table_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRAGOMAN_LIMITS__WORD", "1")
    with pytest.raises(ConfigError, match=r"^limits\.word: there is no such setting"):
        load_settings()


def test_a_missing_or_foreign_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path / "none.toml")
    foreign = tmp_path / "foreign.toml"
    foreign.write_bytes(b"\xff\xfe not toml")
    with pytest.raises(ConfigError, match="is not TOML"):
        load_settings(foreign)

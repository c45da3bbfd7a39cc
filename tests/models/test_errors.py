"""Laws of the errors: the tree is as drawn, each says what it was given and survives pickle."""

import pickle
import re
from pathlib import Path

import pytest

from dragoman_models import errors
from dragoman_models.errors import (
    BundleError,
    DragomanError,
    FieldViolation,
    InvalidInputError,
    LimitExceededError,
    ModelLoadingError,
    ModelNotFoundError,
    ModelNotLoadedError,
    NotFoundError,
    OverloadedError,
    TooFewKnownError,
    TrainingError,
    UnknownWordError,
    WorkCancelledError,
    quoted,
)

ONE_OF_EACH = [
    InvalidInputError([FieldViolation(field="k", description="is 0"), FieldViolation(
        field="texts[2]", description="is empty")]),
    NotFoundError("family", "x", "no such family"),
    ModelNotFoundError("fr-xx"),
    UnknownWordError("zyzzyva", suggestions=("zyzzyvas", "zizania")),
    TooFewKnownError("wordsim353", "1 pair is covered"),
    ModelNotLoadedError("fr-en"),
    ModelLoadingError("fr-en", 1.5),
    OverloadedError("the queue is full", 0.25),
    LimitExceededError("client 7", "at most 10 calls a second"),
    WorkCancelledError(),
    BundleError(Path("models/fr-en/1"), "config.json is missing"),
    TrainingError("the data is empty"),
]  # fmt: skip


def drawn_tree() -> dict[str, str]:
    """Each class in the module's drawing with its parent."""
    parents: dict[str, str] = {}
    path: list[tuple[int, str]] = []
    for line in (errors.__doc__ or "").splitlines():
        match = re.match(r"^([ │├└─]+)([A-Z]\w*Error)\b", line)
        if match:
            depth = len(match[1])
            path = [(d, name) for d, name in path if d < depth]
            parents[match[2]] = path[-1][1] if path else "Exception"
            path.append((depth, match[2]))
    return parents


def test_the_tree_is_as_drawn() -> None:
    defined = {
        name: value.__bases__[0].__name__
        for name, value in vars(errors).items()
        if isinstance(value, type) and issubclass(value, DragomanError)
    }
    assert drawn_tree() == defined


@pytest.mark.parametrize("error", ONE_OF_EACH, ids=lambda error: type(error).__name__)
def test_pickle_keeps_an_error_whole(error: DragomanError) -> None:
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert vars(copy) == vars(error)


def test_all_wrong_fields_are_named() -> None:
    error = InvalidInputError(
        [
            FieldViolation(field="k", description="is 0; give at least 1"),
            FieldViolation(field="texts[2]", description="is empty"),
        ]
    )
    assert str(error) == "k: is 0; give at least 1; texts[2]: is empty"
    assert [violation.field for violation in error.violations] == ["k", "texts[2]"]


def test_an_invalid_input_error_names_at_least_one_field() -> None:
    with pytest.raises(ValueError, match="at least one violation"):
        InvalidInputError([])


def test_not_found_says_which_resource() -> None:
    for error, kind in ((UnknownWordError("Łódź"), "word"), (ModelNotFoundError("Łódź"), "model")):
        assert (error.resource_type, error.resource_name) == (kind, "Łódź")
        assert "Łódź" in str(error)


@pytest.mark.parametrize("text", ["a\nb", "nul\0", "\ud800", "x" * 10_000_000])
def test_quoted_text_is_short_and_printable(text: str) -> None:
    result = quoted(text)
    assert result.isprintable()
    assert len(result) < 500
    result.encode()

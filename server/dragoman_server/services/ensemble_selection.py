"""Finds the models that are averaged with the one that a translation call is for."""

from collections.abc import Sequence

from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.error_status import with_root
from dragoman_server.model_protocols import TranslationModel
from dragoman_server.model_repository import ModelRepository
from dragoman_server.model_version import ModelVersion
from dragoman_server.served_families import TRANSLATION_SERVICE
from dragoman_server.services.model_selection import selected

MOST_PARTNERS = 7
_FIELD = "ensemble_models"


def ensemble_partners(
    repository: ModelRepository, options: pb.TranslationOptions
) -> tuple[ModelVersion, ...]:
    """The READY versions that are averaged with the first; raises what `selected` raises, with the
    paths of these fields."""
    asked = options.ensemble_models
    if len(asked) > MOST_PARTNERS:
        text = f"has {len(asked)} models; give at most {MOST_PARTNERS}"
        raise InvalidInputError.single(f"options.{_FIELD}", text)
    found = []
    for index, selector in enumerate(asked):
        path = f"options.{_FIELD}[{index}]"
        if not selector.name:
            raise InvalidInputError.single(f"{path}.name", "is empty; name a model")
        try:
            found.append(selected(repository, TRANSLATION_SERVICE, selector))
        except InvalidInputError as error:
            raise InvalidInputError(
                [
                    FieldViolation(
                        field=f"{path}.{one.field.removeprefix('model.')}",
                        description=one.description,
                    )
                    for one in error.violations
                ]
            ) from error
    return tuple(found)


def ensemble_model(version: ModelVersion, partners: Sequence[ModelVersion]) -> TranslationModel:
    """What answers: the version's own model, or the mean of it and its partners.

    Raises `InvalidInputError` for partners of other languages or another vocabulary.
    """
    model: TranslationModel = version.model
    if not partners:
        return model
    try:
        return model.ensemble_with([partner.model for partner in partners])
    except InvalidInputError as error:
        raise with_root(error, "options") from error

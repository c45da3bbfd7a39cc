"""What a model family is: the one shape by which the server meets every kind of model."""

from typing import Protocol, TypeVar

from dragoman_models.bundle import Bundle

ModelT_co = TypeVar("ModelT_co", covariant=True)


class ModelFamily(Protocol[ModelT_co]):
    """A kind of model, named by `family` in a bundle's config.json.

    A family's module imports its heavy libraries (torch) inside `load`, not at its top, so that
    naming a family in the registry costs nothing to those who never load it.
    """

    @property
    def name(self) -> str:
        """The family's name, as it stands in config.json."""
        ...

    def load(self, bundle: Bundle) -> ModelT_co:
        """The model in `bundle`, ready to answer.

        Raises `BundleError` where the bundle's contents do not make a model of this family.
        """
        ...

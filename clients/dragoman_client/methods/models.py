"""The calls about models and the state of the server."""

from __future__ import annotations

from collections.abc import Sequence

from dragoman_client import calls
from dragoman_client.methods.calling import Calling
from dragoman_client.requests.fields import Model
from dragoman_client.results import HealthStatus, ModelCard, ModelInfo, ModelState


class ModelMethods(Calling):
    """The models of the server, and whether it answers."""

    def list_models(
        self,
        *,
        family: str = "",
        states: Sequence[ModelState] = (),
        timeout: float | None = None,
    ) -> list[ModelInfo]:
        """Every version of every model that the server has, of one family or in some states."""
        models: list[ModelInfo] = []
        token = ""
        while True:
            call = calls.list_models(family=family, states=states, page_token=token)
            page = self._run(call, timeout)
            models += page.models
            token = page.next_page_token
            if not token:
                return models

    def get_model(self, model: Model, *, timeout: float | None = None) -> ModelCard:
        """One model with its card."""
        return self._run(calls.get_model(model), timeout)

    def load_model(
        self, model: Model, *, pin: bool = False, timeout: float | None = None
    ) -> ModelInfo:
        """Has a model of the server's repository loaded, warmed up, and described once it answers;
        without a version the highest one. With ``pin`` it answers from now on the calls that name
        no version, whatever higher ones there are."""
        return self._run(calls.load_model(model, pin=pin), timeout)

    def unload_model(self, model: Model, *, timeout: float | None = None) -> list[ModelInfo]:
        """Takes a version, or all of a model, out of the server's memory once the calls that it
        answers have ended."""
        return self._run(calls.unload_model(model), timeout)

    def check_health(self, service: str = "", *, timeout: float | None = None) -> HealthStatus:
        """Whether a service answers calls; the empty name stands for the server as a whole.

        Raises:
            NotFoundError: the server has no such service.
        """
        return self._run(calls.check_health(service), timeout)

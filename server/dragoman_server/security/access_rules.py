"""Which scope each call needs. What is not listed needs `use`: nothing is open by omission."""

from dragoman_server.security.grant import Scope

_MODEL_SERVICE = "/dragoman.v1.ModelService/"

# For probes of orchestrators and load balancers, which have no token. It tells nothing but health.
_OPEN = ("/grpc.health.v1.Health/",)
_ADMINISTRATION = (
    f"{_MODEL_SERVICE}LoadModel",
    f"{_MODEL_SERVICE}UnloadModel",
    "/grpc.channelz.v1.Channelz/",
)
_FOR_ANY_CALLER = (_MODEL_SERVICE, "/grpc.reflection.")


def is_open(method: str) -> bool:
    """Whether the call needs no token."""
    return method.startswith(_OPEN)


def scopes_for(method: str) -> frozenset[Scope]:
    """The scopes that a call needs one of, for example of "/dragoman.v1.ModelService/LoadModel"."""
    if method.startswith(_ADMINISTRATION):
        return frozenset({Scope.ADMINISTER})
    if method.startswith(_FOR_ANY_CALLER):
        return frozenset(Scope)
    return frozenset({Scope.USE})

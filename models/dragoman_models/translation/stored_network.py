"""A translator network as its weights: in arrays, of which torch makes a network where one is asked
for. Who computes in compiled loops never loads torch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from dragoman_models.arrays import Floats
from dragoman_models.translation.config import NetworkConfig

if TYPE_CHECKING:
    from dragoman_models.translation.network import TranslationNetwork

Shape = tuple[int, ...]


class StoredNetwork:
    """A config, and the weights by the names that `TranslationNetwork` gives them."""

    def __init__(self, config: NetworkConfig, weights: Mapping[str, Floats]) -> None:
        self.config = config
        self.weights = weights

    @cached_property
    def network(self) -> TranslationNetwork:
        """In torch, for inference; over the same memory where the weights are float32 there."""
        from dragoman_models.translation.network import TranslationNetwork
        from dragoman_models.weight_encoding import as_torch

        network = TranslationNetwork(self.config)
        network.load_state_dict(as_torch(self.weights), assign=True)  # they may be mapped
        return network.eval().requires_grad_(False)


def stored(network: TranslationNetwork) -> StoredNetwork:
    """``network``, which is then ready for inference, over its own memory."""
    network.eval().requires_grad_(False)
    weights = {name: weight.numpy() for name, weight in network.state_dict().items()}
    found = StoredNetwork(network.config, weights)
    found.__dict__["network"] = network  # what the cached property is to give
    return found


def check_shapes(shapes: Mapping[str, Shape], config: NetworkConfig) -> None:
    """Raises `ValueError` where weights of these shapes are not those of such a network."""
    expected = weight_shapes(config)
    for name, shape in expected.items():
        if name not in shapes:
            raise ValueError(f"the weight {name} is missing")
        if tuple(shapes[name]) != shape:
            raise ValueError(f"the weight {name} is of shape {tuple(shapes[name])}, not {shape}")
    for name in shapes:
        if name not in expected:
            raise ValueError(f"the weight {name} belongs to no such network")


def weight_shapes(config: NetworkConfig) -> dict[str, Shape]:
    """Of all weights of a `TranslationNetwork`, by name."""
    vocabulary, embedding = config.vocabulary_size, config.embedding_size
    shapes: dict[str, Shape] = {
        "target_embedding.weight": (vocabulary, embedding), "output_bias": (vocabulary,),
    }  # fmt: skip
    if not config.tie_source_embedding:
        shapes["own_source_embedding.weight"] = (vocabulary, embedding)
    kind = _decoder if config.decoder == "input_feeding" else _conditional_decoder
    parts = {"encoder": _encoder(config), "decoder": _attending(config) | kind(config)}
    return shapes | {
        f"{part}.{name}": shape for part, own in parts.items() for name, shape in own.items()
    }


def _encoder(config: NetworkConfig) -> dict[str, Shape]:
    units, gates = config.encoder_size, _gates(config) * config.encoder_size
    shapes: dict[str, Shape] = {}
    for layer in range(config.encoder_layers):
        inputs = config.embedding_size if layer == 0 else 2 * units
        for direction in ("", "_reverse"):
            place = f"l{layer}{direction}"
            shapes |= {
                f"recurrent.weight_ih_{place}": (gates, inputs),
                f"recurrent.weight_hh_{place}": (gates, units),
                f"recurrent.bias_ih_{place}": (gates,), f"recurrent.bias_hh_{place}": (gates,),
            }  # fmt: skip
    if config.layer_norm:
        gains = (config.encoder_layers, 2, gates)
        shapes |= {"input_gains": gains, "hidden_gains": gains}
    return shapes


def _attending(config: NetworkConfig) -> dict[str, Shape]:
    """Attention, and the way to the first state."""
    size, memory = config.decoder_size, 2 * config.encoder_size
    shapes = {"attention.key_projection.weight": (size, memory), **_linear("bridge", memory, size)}
    if config.attention == "additive":
        shapes |= {
            "attention.key_projection.bias": (size,), "attention.energy": (size,),
            "attention.query_projection.weight": (size, size),
        }  # fmt: skip
    return shapes


def _decoder(config: NetworkConfig) -> dict[str, Shape]:
    size, embedding = config.decoder_size, config.embedding_size
    gates = _gates(config) * size
    return {
        **_linear("embedding_gates", embedding, gates),
        "feed_gates.weight": (gates, embedding),
        **_linear("hidden_gates", size, gates),
        "context_projection.weight": (embedding, 2 * config.encoder_size),
        **_linear("hidden_projection", size, embedding),
        **_normalizations(config, ("input_norm", "hidden_norm"), gates),
    }


def _conditional_decoder(config: NetworkConfig) -> dict[str, Shape]:
    size, embedding = config.decoder_size, config.embedding_size
    gates = _gates(config) * size
    return {
        **_linear("embedding_gates", embedding, gates + embedding),
        **_linear("hidden_gates", size, gates),
        "context_projection.weight": (gates + embedding, 2 * config.encoder_size),
        **_linear("second_gates", size, gates),
        **_linear("hidden_projection", size, embedding),
        **_normalizations(config, tuple(f"norms.{i}" for i in range(4)), gates),
    }


def _linear(name: str, inputs: int, outputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _normalizations(config: NetworkConfig, names: tuple[str, ...], gates: int) -> dict[str, Shape]:
    used = names if config.layer_norm else ()
    return {f"{name}.{part}": (gates,) for name in used for part in ("gain", "shift")}


def _gates(config: NetworkConfig) -> int:
    return {"gru": 3, "lstm": 4}[config.cell]

"""Which arithmetic a translator computes with."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from dragoman_models.translation.config import NetworkConfig


class Arithmetic(enum.Enum):
    """How the numbers of a search are computed; training is not concerned."""

    AUTO = "auto"  # the fastest that the CPU has instructions for and the network suits
    PLAIN = "plain"  # torch's operations in float32, for every network and CPU
    FLOAT32 = "float32"  # compiled loops; the others round what matrices and activations hold
    BFLOAT16 = "bfloat16"
    INT8 = "int8"


# What the compiled loops need of a CPU, the fastest first.
_NEEDED = {
    Arithmetic.INT8: ("avx512f", "avx512bw", "avx512vl", "avx512vnni"),
    Arithmetic.BFLOAT16: ("avx512f", "avx512bw", "avx512vl", "avx512bf16"),
    Arithmetic.FLOAT32: ("avx512f",),
}


def host_features() -> Mapping[str, bool]:
    """The CPU's instruction sets, as LLVM names them."""
    import llvmlite.binding

    return dict(llvmlite.binding.get_host_cpu_features())


def available(features: Mapping[str, bool]) -> list[Arithmetic]:
    """The compiled kinds that a CPU is good at, the fastest first."""
    return [
        kind
        for kind, needed in _NEEDED.items()
        if all(features.get(feature, False) for feature in needed)
    ]


def suits(config: NetworkConfig) -> bool:
    """Whether there are compiled loops for such a network: their blocks are of 16 and 64 units."""
    return (
        config.cell == "gru"
        and config.decoder == "input_feeding"
        and not config.layer_norm
        and config.encoder_layers == 1
        and config.encoder_size % 16 == 0
        and config.decoder_size % 64 == 0
        and config.embedding_size % 64 == 0
    )


def chosen(wanted: Arithmetic, config: NetworkConfig, features: Mapping[str, bool]) -> Arithmetic:
    """What ``wanted`` comes to for a network on a CPU; never AUTO.

    Raises:
        ValueError: it is not to be had. FLOAT32 is on every CPU, but may be slow.
    """
    if wanted is Arithmetic.PLAIN:
        return wanted
    kinds = available(features) if suits(config) else []
    if wanted is Arithmetic.AUTO:
        return kinds[0] if kinds else Arithmetic.PLAIN
    if not suits(config):
        raise ValueError(
            f"{wanted.value} arithmetic is for GRU networks of one encoder layer, with input "
            "feeding and without layer_norm, whose decoder and embedding sizes are multiples of "
            '64; choose "plain" or "auto"'
        )
    if wanted not in kinds and wanted is not Arithmetic.FLOAT32:
        missing = [feature for feature in _NEEDED[wanted] if not features.get(feature, False)]
        raise ValueError(
            f"{wanted.value} arithmetic needs a CPU with {', '.join(missing)}; "
            'choose "plain" or "auto"'
        )
    return wanted

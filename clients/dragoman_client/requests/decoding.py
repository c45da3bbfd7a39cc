"""The options of decoding that translators and language models share."""

from __future__ import annotations

from dragoman.v1 import decoding_pb2
from dragoman_client.options import GenerationOptions, LengthNormalization, SamplingOptions
from dragoman_client.requests.fields import enum_number, set_number

SAMPLING = ("temperature", "top_k", "top_p", "min_p", "typical_p", "seed")


def normalization_number(member: LengthNormalization) -> decoding_pb2.LengthNormalization.ValueType:
    return enum_number(decoding_pb2.LengthNormalization, "LENGTH_NORMALIZATION", member)


def set_sampling(
    message: decoding_pb2.SamplingOptions, options: SamplingOptions | GenerationOptions
) -> None:
    for name in SAMPLING:
        bits = 64 if name == "seed" else 32
        set_number(message, name, getattr(options, name), f"options.sampling.{name}", bits=bits)

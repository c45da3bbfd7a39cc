"""Options are read once for calls that ask for the same, and never taken for one another."""

from __future__ import annotations

from dragoman.v1 import decoding_pb2
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_server.services.known_options import known_options
from dragoman_server.services.translation_options import translation_options


def test_what_is_kept_is_what_reading_gives() -> None:
    for asked in (
        pb.TranslationOptions(),
        pb.TranslationOptions(beam_width=3, n_best=2),
        pb.TranslationOptions(banned_phrases=["x" * 150] * 10),  # too long to be kept
    ):
        known = known_options(asked)
        assert known.options == translation_options(asked)
        again = known_options(pb.TranslationOptions.FromString(asked.SerializeToString()))
        assert again.options == known.options
        assert again.key == known.key


def test_other_options_have_another_key() -> None:
    plain = known_options(pb.TranslationOptions())
    # The model's options are the same, but not what is returned.
    with_tokens = known_options(pb.TranslationOptions(return_tokens=True))
    assert with_tokens.options == plain.options
    assert with_tokens.key != plain.key
    assert known_options(pb.TranslationOptions(beam_width=2)).key != plain.key


def test_the_seed_of_each_sampled_call_is_drawn() -> None:
    sampled = pb.TranslationOptions(sampling=decoding_pb2.SamplingOptions())
    assert known_options(sampled).options.seed != known_options(sampled).options.seed

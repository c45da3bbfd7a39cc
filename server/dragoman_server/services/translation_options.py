"""The options of translation calls, from the API's to the model's."""

from typing import TYPE_CHECKING, Literal, get_args

from dragoman.v1 import decoding_pb2
from dragoman.v1 import translation_service_pb2 as pb
from dragoman_models.errors import FieldViolation, InvalidInputError
from dragoman_server.error_status import with_root
from dragoman_server.services.translation_sampling import check_sampling, sampling_options

if TYPE_CHECKING:
    # Torch is heavy, and a server that only embeds words never needs it.
    from dragoman_models.search.diverse_beams import DiverseBeams
    from dragoman_models.search.length_normalization import LengthNormalization
    from dragoman_models.translation.translation_options import TranslationOptions

_DEFAULT_STRENGTH = 0.5
_Number = Literal[
    "beam_width", "n_best", "length_penalty", "max_length", "min_length", "max_length_ratio",
    "min_length_ratio", "coverage_penalty", "no_repeat_ngram_size",
    "repetition_penalty",
]  # fmt: skip
_NUMBERS: tuple[_Number, ...] = get_args(_Number)


def translation_options(options: pb.TranslationOptions) -> "TranslationOptions":
    """Raises `InvalidInputError` with one violation for each option out of range."""
    from dragoman_models.search.beam_search import EarlyStopping
    from dragoman_models.translation.translation_options import TranslationOptions

    stopping = {
        decoding_pb2.EARLY_STOPPING_UNSPECIFIED: EarlyStopping.NO_BETTER_POSSIBLE,
        decoding_pb2.EARLY_STOPPING_WHEN_NO_BETTER_IS_POSSIBLE: EarlyStopping.NO_BETTER_POSSIBLE,
        decoding_pb2.EARLY_STOPPING_WHEN_BEAM_IS_FINISHED: EarlyStopping.BEAM_FINISHED,
        decoding_pb2.EARLY_STOPPING_NEVER: EarlyStopping.NEVER,
    }
    check_sampling(options)
    given = {name: getattr(options, name) for name in _NUMBERS if options.HasField(name)}
    made = TranslationOptions(
        **given,
        length_normalization=length_normalization(options.length_normalization),
        early_stopping=stopping[options.early_stopping],
        banned_phrases=tuple(options.banned_phrases),
        diverse_beams=_diverse_beams(options),
        return_alignments=options.return_alignments,
        split_sentences=options.sentence_splitting != pb.SENTENCE_SPLITTING_WHOLE_TEXT,
        **sampling_options(options),
    )
    violations = made.violations()
    if violations:
        raise with_root(InvalidInputError(violations), "options")
    return made


def _diverse_beams(options: pb.TranslationOptions) -> "DiverseBeams | None":
    from dragoman_models.search.diverse_beams import DiverseBeams

    if not options.HasField("diverse_beams"):
        return None
    asked = options.diverse_beams
    strength = asked.strength if asked.HasField("strength") else _DEFAULT_STRENGTH
    return DiverseBeams(groups=asked.groups, strength=strength)


def length_normalization(
    number: decoding_pb2.LengthNormalization.ValueType,
) -> "LengthNormalization":
    """The model's member for a number of the API."""
    from dragoman_models.search.length_normalization import LengthNormalization

    return {
        decoding_pb2.LENGTH_NORMALIZATION_UNSPECIFIED: LengthNormalization.WU,
        decoding_pb2.LENGTH_NORMALIZATION_NONE: LengthNormalization.NONE,
        decoding_pb2.LENGTH_NORMALIZATION_AVERAGE: LengthNormalization.AVERAGE,
        decoding_pb2.LENGTH_NORMALIZATION_WU_2016: LengthNormalization.WU,
    }[number]


def length_penalty_violations(
    options: pb.TranslationOptions | pb.ScoreTargetRequest, root: str = ""
) -> list[FieldViolation]:
    """A length penalty goes with one normalization only."""
    unpenalized = (
        decoding_pb2.LENGTH_NORMALIZATION_NONE,
        decoding_pb2.LENGTH_NORMALIZATION_AVERAGE,
    )
    if options.HasField("length_penalty") and options.length_normalization in unpenalized:
        text = "belongs to length_normalization WU_2016 alone; leave it unset"
        return [FieldViolation(field=f"{root}length_penalty", description=text)]
    return []

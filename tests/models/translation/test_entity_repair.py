"""Lost names and numbers come back through stand-ins, and nothing else is touched."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dragoman_models.tokenizer import SubwordTokenizer
from dragoman_models.translation.corpus import SentencePair
from dragoman_models.translation.entity_repair import (
    EntityRepair,
    StandIns,
    known_words,
    learn_stand_ins,
    stand_ins_of,
)
from dragoman_models.translation.hypothesis import Hypothesis
from dragoman_models.translation.phrases import PhraseReader
from dragoman_models.translation.plain_model import PlainModel
from dragoman_models.translation.source_search import SourceSearch
from dragoman_models.translation.source_task import SourceTask
from dragoman_models.translation.translation_options import TranslationOptions
from dragoman_models.translation.translator import Translator

STAND_INS = StandIns(names=("Tom", "Mary"), places=("Tokyo", "Kyoto"))
REPAIR = EntityRepair(stand_ins=STAND_INS, known=frozenset(("afrique", "elle", "tom", "bonjour")))


@pytest.mark.parametrize(
    ("source", "masked"),
    [
        ("Zeynep dort.", "Tom dort."),
        ("Elle va à Skopje.", "Elle va à Tokyo."),
        ("Zeynep et Ngozi vont à Skopje.", "Tom et Mary vont à Tokyo."),
        ("Le frère d'Ottavia dort.", "Le frère de Tom dort."),
        ("Elle a 4711 euros.", "Elle a 300 euros."),
        ("Elle est née en 1987.", "Elle est née en 2003."),
        ("Tom aime Zeynep.", "Tom aime Mary."),  # the first stand-in is taken
        ("Zeynep Okonkwo et Ngozi-Ottavia.", "Tom et Mary."),  # one person has one stand-in
        ("Zeynep 4711.", "Tom 300."),
    ],
)
def test_entities_are_masked_by_what_a_sentence_can_use(source: str, masked: str) -> None:
    found = REPAIR.mask(source)
    assert found is not None
    assert found.text == masked


@pytest.mark.parametrize(
    "source", ["Elle dort.", "", "Bonjour.", "Elle visite l'Afrique.", "Il a 3 ans.", "À 3,50"]
)
def test_what_holds_no_unknown_entity_is_not_masked(source: str) -> None:
    assert REPAIR.mask(source) is None
    assert not REPAIR.lost(source, "")


def test_too_many_entities_or_one_twice_are_not_masked() -> None:
    assert REPAIR.mask("Zeynep, Ngozi et Bohdan.") is None
    assert REPAIR.mask("Zeynep aime Zeynep.") is None


def test_only_what_is_missing_is_lost() -> None:
    assert REPAIR.lost("Zeynep dort.", "Zeyne is asleep.")
    assert not REPAIR.lost("Zeynep dort.", "Zeynep's asleep.")
    assert REPAIR.lost("Elle a 4711 euros.", "She has 47111 euros.")
    assert not REPAIR.lost("Elle a 4711 euros.", "She has 4,711 euros.")


def test_restoring_needs_every_stand_in_once() -> None:
    mask = REPAIR.mask("Zeynep va à Skopje.")
    assert mask is not None
    assert mask.restore("Tom goes to Tokyo.") == "Zeynep goes to Skopje."
    assert mask.restore("Tom goes away.") is None
    assert mask.restore("Tom and Tom go to Tokyo.") is None
    assert mask.restore("Tomas goes to Tokyo.") is None


@given(st.text(max_size=60))
def test_any_source_comes_back_from_its_own_mask(source: str) -> None:
    mask = REPAIR.mask(source)
    if mask is not None and "Tom" not in source and not any(c in source for c in "'\u2019"):
        assert mask.restore(mask.text) in (source, None)


def test_stand_ins_are_learned_from_where_names_stand() -> None:
    pairs = [SentencePair("Tom dort.", "Tom is asleep.")] * 5
    pairs += [SentencePair("Elle va à Boston.", "She goes to Boston.")] * 4
    pairs += [SentencePair("Anna dort.", "Anna is asleep."), SentencePair("Ken va.", "Ken goes.")]
    found = learn_stand_ins(pairs, frozenset(("Tom", "Boston", "Anna", "Ken")))
    assert found == StandIns(names=("Tom", "Ken"), places=("Boston",))
    assert stand_ins_of(found.as_config()) == found
    assert known_words(["Tom va à Boston.", "Il a 12 ans."]) == {"tom", "boston", "ans"}


@pytest.mark.parametrize("config", [{}, {"names": ["Tom"]}, {"names": None, "places": []}])
def test_stand_ins_that_are_missing_are_named(config: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="stand_ins"):
        stand_ins_of(config)


class ForgetfulSearch(SourceSearch):
    """Translates word by word into itself, and forgets every name but Tom."""

    def __init__(self, translator: Translator) -> None:
        tokenizer = translator.tokenizer
        super().__init__([PlainModel(translator.network)], tokenizer, PhraseReader(tokenizer))
        self.translator = translator
        self.searches = 0

    def search(
        self,
        tasks: Sequence[SourceTask],
        options: TranslationOptions,
        cancelled: Callable[[int], bool] | None,
    ) -> list[tuple[Hypothesis, ...]]:
        self.searches += len(tasks)
        real = super().search(tasks, options, cancelled)
        sources = [self.translator.tokenizer.decode(task.tokens) for task in tasks]
        pairs = [(source, source.replace("Zeynep", "Zey")) for source in sources]
        written = self.translator.score_targets(pairs)
        return [(one,) if answer else () for answer, one in zip(real, written, strict=True)]


class Forgetful(Translator):
    """A translator with such a search."""

    def __init__(self, tokenizer: SubwordTokenizer, network: Translator) -> None:
        super().__init__(
            network.network, tokenizer, source_language="fr", target_language="en", repair=REPAIR
        )
        self._search = self.forgetful = ForgetfulSearch(self)

    @property
    def searches(self) -> int:
        """Sources that were searched."""
        return self.forgetful.searches


def test_a_lost_name_is_translated_again_and_scored_as_it_is_returned(
    translator: Translator, tokenizer: SubwordTokenizer
) -> None:
    forgetful = Forgetful(tokenizer, translator)
    options = TranslationOptions(beam_width=2, n_best=2, max_length=8, return_alignments=True)
    sources = ["Elle dort.", "Zeynep dort.", "Tom dort."]
    answers = forgetful.translate(sources, options)
    assert [answer[0].text for answer in answers] == ["Elle dort.", "Zeynep dort.", "Tom dort."]
    assert forgetful.searches == 4  # only the one that lost a name was translated again
    repaired: Hypothesis = answers[1][0]
    (scored,) = forgetful.score_targets([("Zeynep dort.", "Zeynep dort.")])
    assert repaired.tokens == scored.tokens
    assert repaired.log_prob == pytest.approx(scored.log_prob, abs=1e-5)
    assert repaired.attention is not None
    (prefixed,) = forgetful.translate(["Zeynep dort."], options, prefixes=["Zey"])
    assert forgetful.searches == 5  # whoever gives a prefix knows what is wanted
    forgetful.translate(["Zeynep dort."], options, required_phrases=[["Tom"]])
    assert forgetful.searches == 6  # and whoever requires a phrase
    assert prefixed


def test_cancelling_reaches_the_second_search(
    translator: Translator, tokenizer: SubwordTokenizer
) -> None:
    forgetful = Forgetful(tokenizer, translator)
    forgetful.translate(
        ["Zeynep dort."], TranslationOptions(beam_width=1, max_length=8), cancelled=lambda _: True
    )
    assert forgetful.searches == 1


def test_a_banned_name_is_not_brought_back(
    translator: Translator, tokenizer: SubwordTokenizer
) -> None:
    forgetful = Forgetful(tokenizer, translator)
    options = TranslationOptions(beam_width=2, max_length=8)
    for banned, expected in (("Zeynep", "Zey dort."), ("Zeyn", "Zeynep dort.")):
        (answer,) = forgetful.translate(["Zeynep dort."], options, banned_phrases=[[banned]])
        assert answer[0].text == expected

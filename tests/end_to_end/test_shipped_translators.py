"""The shipped translators answer over gRPC, with sentences that no training text holds."""

from __future__ import annotations

import pytest

from dragoman_client import Client, Translation, TranslationOptions


@pytest.mark.parametrize(
    ("model", "source", "right"),
    [
        (
            "fr-en",
            "Jane visite l'Afrique en septembre.",
            {
                "Jane is visiting Africa in September.",
                "Jane visits Africa in September.",
                "Jane is going to visit Africa in September.",
                "Jane will visit Africa in September.",
            },
        ),
        ("fr-en", "Je t'aime.", {"I love you."}),
        ("en-de", "Where is the station?", {"Wo ist der Bahnhof?"}),
        ("en-fr", "Where is the station?", {"Où est la gare ?", "Où se trouve la gare ?"}),
    ],
)
def test_a_sentence_comes_out_right(
    client: Client, model: str, source: str, right: set[str]
) -> None:
    found = client.translate(source, model=model, options=TranslationOptions(beam_width=3))
    assert found.text in right


def test_controls_choose_other_translations_of_a_shipped_translator(client: Client) -> None:
    source = "Je voudrais une tasse de café, s'il vous plaît."
    sentences = [source, source, "Il fait très froid ce matin."]
    found = client.translate(
        sentences, model="fr-en", required_phrases=[["cup of tea"], [], []],
        banned_phrases=[[], ["cup of coffee"], ["very"]],
    )  # fmt: skip
    texts = [one.text for one in found if isinstance(one, Translation)]
    assert len(texts) == 3
    assert "cup of tea" in texts[0]
    assert "cup of coffee" not in texts[1]
    assert "very" not in texts[2].split()
    options = TranslationOptions(
        beam_width=6, n_best=3, diverse_groups=3, diversity_strength=2.0,
        banned_phrases=("cold",),
    )  # fmt: skip
    diverse = client.translate(sentences[2], model="fr-en", options=options)
    assert len({one.text for one in diverse.hypotheses}) == 3
    assert not any("cold" in one.text.split() for one in diverse.hypotheses)


def test_a_model_that_no_call_names_is_the_one_that_the_settings_name(client: Client) -> None:
    options = TranslationOptions(beam_width=1, max_length=2)
    assert client.translate("the cat", options=options).model.name == "babel"


def test_shipped_translators_state_their_figures_and_licence(client: Client) -> None:
    for model in ("fr-en", "en-fr", "en-de"):
        card = client.get_model(model)
        assert card.info.license
        assert "tatoeba.org" in card.card
        assert card.info.metrics["test_bleu.beam_5"] > 30
        assert card.info.size_bytes < 8_000_000

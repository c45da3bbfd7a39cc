"""Texts are divided where their sentences end, and put together again to the letter."""

# ruff: noqa: RUF001 - the full stops of other scripts

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dragoman_models.translation.sentence_splitting import split_sentences

TELLING = [*".!?… \n\r\t\u2028'\"»)«(。！？」aBé1\u0301🙂\0\u200d", "Mr", "z. B.", "3.5", "\r\n"]
TEXTS = st.one_of(
    st.text(), st.lists(st.sampled_from(TELLING), max_size=40).map("".join)
)  # any Unicode, and what the rule speaks of


@given(TEXTS)
@settings(max_examples=400, deadline=None)
def test_the_sentences_in_their_spacing_are_the_text(text: str) -> None:
    split = split_sentences(text)
    assert split.join(split.sentences) == text
    assert len(split.spacing) == len(split.sentences) + 1
    assert not "".join(split.spacing).strip()
    assert all(one == one.strip() != "" for one in split.sentences)
    starts = split.starts(split.sentences)
    for start, sentence in zip(starts, split.sentences, strict=True):
        assert text[start : start + len(sentence)] == sentence


@given(TEXTS, st.data())
@settings(max_examples=100, deadline=None)
def test_what_counts_as_spacing_stays_in_its_place(text: str, data: st.DataObject) -> None:
    split = split_sentences(text)
    dropped = data.draw(
        st.lists(st.booleans(), min_size=len(split.sentences), max_size=len(split.sentences))
    )
    fewer = split.without(dropped)
    assert fewer.join(fewer.sentences) == text
    kept = [one for one, drop in zip(split.sentences, dropped, strict=True) if not drop]
    assert list(fewer.sentences) == kept


@pytest.mark.parametrize(
    "text",
    [
        "It rains.|It pours.",
        "Stop!|Who is there?|Nobody…|Really?!|Yes.",
        "Mr. Smith met Dr. Jones at St. Mary's.|He was late.",
        "J. R. R. Tolkien wrote it.|Then he slept.",
        "See e.g. Figure 2, i.e. the picture.|It is No. 5 on p. 12.",
        "She said no.|Then she left.",
        "Das gilt z. B. Montag, d. h. morgen.|Am 3. Mai bzw. Juni kommt Hr. Weber.|Gut.",
        "M. Dupont et Mme Durand sont là.|Ils attendent.",
        "It costs 3.5 euros.|Or 1,000.50 dollars.",
        "The U.S. President spoke.|He left in 1990.|Then nothing.",
        'He said "Stop."|Then he "ran!" and "fell?" as usual.',
        "Er ging.|»Komm!« sagte sie.|»Nein.«|Gut.",
        "“Stop!” he said.|“Why?”|“Because.”",
        "« Pourquoi ? »|Il ne sait pas.|¿Por qué?|¡Vamos!",
        "Wait... what?|Well…|No.",
        "(It rained.)|[It poured.]|Then: sun.",
        "مرحبا؟|نعم.|שלום.|כן.",
        "यह है।|वह था।|ठीक।",
        "example.com is a.b.c, v1.2.3 and x=.5",
        "🙂 Hi.|🙂 Ho!",
        "...",
    ],
)
def test_where_sentences_end(text: str) -> None:
    """A bar stands for the blank between two sentences."""
    assert list(split_sentences(text.replace("|", " ")).sentences) == text.split("|")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今日は雨です。明日は？晴れ！！", ["今日は雨です。", "明日は？", "晴れ！！"]),
        ("「行く。」と言った。帰る。", ["「行く。」と言った。", "帰る。"]),
        ("他说：“你好。”她笑了。", ["他说：“你好。”她笑了。"]),
        ("One line\nanother line\r\nthe third", ["One line", "another line", "the third"]),
        ("a\u2028b\n\n\nc", ["a", "b", "c"]),
    ],
)
def test_sentences_without_blanks_between(text: str, expected: list[str]) -> None:
    assert list(split_sentences(text).sentences) == expected


def test_nothing_is_put_between_sentences_but_a_blank_where_none_was() -> None:
    split = split_sentences("雨です。\n晴れです。風！")
    assert split.join(["It rains.", "The sun shines.", "Wind!"]) == (
        "It rains.\nThe sun shines. Wind!"
    )
    assert split.join(["雨。", "晴。", "風。"]) == "雨。\n晴。風。"
    assert split.join(["", "", ""]) == "\n"
    assert split_sentences(" \n ").sentences == ()


def test_rows_of_stops_are_read_in_one_go() -> None:
    """200,000 stops: what is tried from each of them again would take minutes."""
    for text in ("." * 200_000, ".a" * 100_000, '."' * 100_000 + " A", "!? " * 60_000):
        split = split_sentences(text)
        assert split.join(split.sentences) == text

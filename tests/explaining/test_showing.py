"""What is shown: on the terminal and on the page, of texts that mean no good."""

import html.parser
import io

import pytest
from rich.console import Console

from kerasbert.explaining.explanation import Explanation, Word
from kerasbert.explaining.page import explanations_page, swaps_page
from kerasbert.explaining.screen import print_explanation, print_swaps
from kerasbert.explaining.showing import pieces_of, printable, signed, strength
from kerasbert.explaining.swapping import Swap, SwappedText

HOSTILE = '</p><script>alert("1")</script> [bold]&amp; \x1b[31mred\u202e'


def explanation(text="you awful fool", contributions=(-0.1, 0.0, 0.4), pair=None, **changes):
    words, place = [], 0
    for word, contribution in zip(text.split(), contributions, strict=False):
        start = text.index(word, place)
        place = start + len(word)
        words.append(Word(word, start, place, 0, contribution, True))
    values = {"label": "rude", "method": "leave-out", "probability": 0.9}
    values |= {"baseline_probability": 0.5} | changes
    return Explanation(text=text, pair=pair, words=tuple(words), **values)


def printed(show, *args, **options) -> str:
    file = io.StringIO()
    show(Console(file=file, width=80, **options), *args)
    return file.getvalue()


def test_the_numbers_that_follow():
    one = explanation()
    assert one.change == pytest.approx(0.4)
    assert one.sum_of_contributions == pytest.approx(0.3)
    assert one.completeness_error == pytest.approx(-0.1)
    assert [word.text for word in one.strongest(2)] == ["fool", "you"]


def test_how_numbers_and_strengths_read():
    assert [signed(x) for x in (0.12345, -0.0012, 0.0000123, 0)] == [
        "+0.1235", "-0.0012", "+1.2e-05", "0.0000"
    ]  # fmt: skip
    words = explanation().words
    assert [strength(word, words) for word in words] == [pytest.approx(-0.25), 0, 1]
    faint = explanation(contributions=(0.01, 0.0, 1.0)).words
    assert strength(faint[0], faint) == 0


def test_words_and_what_stands_between_them():
    one = explanation(text=" you  awful fool\n")
    pieces = [piece if isinstance(piece, str) else piece.text for piece in pieces_of(one, 0)]
    assert pieces == [" ", "you", "  ", "awful", " ", "fool", "\n"]


def test_the_screen_without_colour():
    out = printed(print_explanation, explanation())
    assert "\x1b" not in out
    assert "rude 0.9000, by leaving words out\nyou awful fool\n" in out
    assert "+0.4000" in out
    assert "-0.1000" in out
    assert "completeness error -0.1000" in " ".join(out.split())
    assert max(map(len, out.splitlines())) <= 80


def test_the_screen_in_colour():
    out = printed(print_explanation, explanation(), force_terminal=True, color_system="truecolor")
    assert "48;2;" in out
    # The strongest word, up, is on a tint of orange, red above green above blue.
    red, green, blue = map(int, out.split("48;2;")[2].partition("m")[0].split(";"))
    assert red > green > blue


def test_a_text_commands_neither_terminal_nor_markup():
    one = explanation(text=HOSTILE, contributions=(0.1,) * 9, label="[red]\x1b[0m")
    out = printed(print_explanation, one)
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[bold]&amp;" in out
    assert r"\x1b[31mred" in out
    assert printable("a\r\nb\tc👩‍👧") == "a\nb\tc👩‍👧"


def test_words_that_were_not_read_are_counted():
    words = (Word("a", 0, 1, 0, 0.1, True), Word("b", 2, 3, 0, 0.0, False))
    one = Explanation("a b", None, "rude", "leave-out", 0.9, 0.8, words)
    line = "1 word was not read: cut off at the maximum length, or dropped by the tokenizer."
    assert line in " ".join(printed(print_explanation, one).split())
    page = explanations_page([one], "t")
    assert line in page
    assert '<span class="unread" title="not read">' in page


def test_a_tolerance_that_was_not_reached_is_said():
    values = {"method": "integrated-gradients", "steps": 400}
    one = explanation(tolerance=0.01, **values)
    line = "Tolerance not reached: the completeness error is above 0.01, even with 400 points."
    assert one.to_dict()["is_tolerance_reached"] is False
    assert Explanation.from_dict(one.to_dict() | {"row": 7}) == one
    older = {name: value for name, value in one.to_dict().items() if "tolerance" not in name}
    assert Explanation.from_dict(older).is_tolerance_reached is None
    assert line in " ".join(printed(print_explanation, one).split())
    assert line in explanations_page([one], "t")
    for fine in (explanation(tolerance=0.11, **values), explanation()):
        assert "Tolerance" not in printed(print_explanation, fine)
        assert "Tolerance" not in explanations_page([fine], "t")
    assert fine.to_dict()["is_tolerance_reached"] is None


def test_no_words():
    one = explanation(text="", contributions=())
    assert "completeness error" in " ".join(printed(print_explanation, one).split())
    assert "<table>" not in explanations_page([one], "t")


class Balanced(html.parser.HTMLParser):
    """Checks that each tag is closed, and keeps the texts."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.texts = [], [], []
        self.feed(page)
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def test_the_page_is_whole_and_escaped():
    one = explanation(text=HOSTILE, contributions=(0.1, -0.4, 0.0, 0.2), label="<b>", pair='"&<')
    page = Balanced(explanations_page([one, explanation()], "<i>title</i>"))
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "b", "i", "img", "link"}
    assert "".join(page.texts).count('</p><script>alert("1")</script>') == 2  # the text, a table
    assert not [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)]
    titles = [attrs["title"] for tag, attrs in page.tags if tag == "span" and "title" in attrs]
    assert titles[:3] == ["+0.1000", "-0.4000", "0.0000"]
    assert "\x1b" not in "".join(page.texts)


def test_many_words_are_in_a_table_of_their_own():
    text = " ".join(f"w{number}" for number in range(30))
    page = explanations_page([explanation(text=text, contributions=[0.1] * 30)], "t")
    assert "<summary>All 30 words</summary>" in page
    assert "<summary>" not in explanations_page([explanation()], "t")


def test_exchanged_terms_are_shown():
    swap = Swap("<man>", "woman", "A woman", None, 0.7, 0.2, "rude", True)
    texts = [
        SwappedText("A <man>", None, "rude", 0.5, "civil", (swap,)),
        SwappedText(HOSTILE, "second", "rude", 0.4, "civil", ()),
    ]
    out = printed(print_swaps, texts)
    assert "flips to rude" in out
    assert "+0.2000" in out
    assert "No listed term is in it." in out
    assert "\x1b" not in out
    page = Balanced(swaps_page(texts, "t"))
    assert "<man>" in page.texts
    assert "flips to rude" in page.texts
    assert "script" not in {tag for tag, _ in page.tags}

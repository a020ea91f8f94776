import pytest

from kerasbert.checking.texts import faults, text_problems
from tests.checking.making import by_name, make_rows, serious


def misread(text, encoding="cp1252"):
    return text.encode("utf-8").decode(encoding)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a good comment", set()),
        ("yes", {"very_short"}),
        ("", {"very_short"}),
        (misread("café au lait"), {"broken_encoding"}),
        (misread("it\u2019s broken"), {"broken_encoding"}),
        (misread("привет", "latin-1"), {"broken_encoding", "invisible_characters"}),
        (misread("かな", "latin-1"), {"broken_encoding", "invisible_characters"}),
        (misread("a smile 😀 here"), {"broken_encoding"}),
        ("what a \ufffd letter", {"broken_encoding"}),
        ("\u00efwho\u00bb said «café…»", set()),
        ("À propos: «É», she said “CAFÉ”", set()),
        ("SÃO PAULO and Âme", set()),
        ("zero\u200bwidth", {"invisible_characters"}),
        ("a \x07bell", {"invisible_characters"}),
        ("tab\tand\nline\r\n", set()),
        ("a family 👨\u200d👩\u200d👧 and ❤\ufe0f", set()),
        ("<b>bold</b>", {"markup"}),
        ('see <a href="x">', {"markup"}),
        ("line<br/>line", {"markup"}),
        ("AT&amp;T and &#39;", {"markup"}),
        ("1 < 2 and 3 > 2; R&D", set()),
        ("see https://example.org", {"url"}),
        ("see www.example.org", {"url"}),
        ("hello @ann", {"user_name"}),
        ("write to ann@example.org", set()),
        ("@ann <i> http://t.co/1", {"user_name", "markup", "url"}),
    ],
)
def test_what_is_odd_about_a_text(text, expected):
    assert set(faults(text)) == expected


def test_rows_are_named_by_problem_and_the_second_texts_count():
    rows = make_rows(["fine words", "", "  ", "other words"], pairs=["hm, @ann", "@b", "", ""])
    found = by_name(text_problems(rows))
    assert found == {"empty_text": ([1, 2], None), "user_name": ([0], None)}


def test_only_broken_letters_are_serious():
    rows = make_rows(["<b> @ann http://t.co \u200b", misread("café au lait"), "", "ok"])
    assert serious(text_problems(rows)) == {"broken_encoding"}


def test_another_script_than_that_of_most_letters():
    rows = make_rows(["some words of it", "привет, world", "漢字とかな", "😀 123", "and a é"])
    (indices, names) = by_name(text_problems(rows))["other_script"]
    # Six Cyrillic letters against five Latin ones.
    assert dict(zip(indices, names, strict=True)) == {1: "Cyrillic", 2: "CJK"}


def test_where_most_is_cyrillic_latin_is_the_other_one():
    rows = make_rows(["привет мир", "ещё один текст", "words"])
    assert by_name(text_problems(rows))["other_script"] == ([2], ["Latin"])

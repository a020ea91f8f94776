import pytest

from kerasbert.errors import InputError
from kerasbert.explaining.terms import Terms, read_terms

TERMS = Terms((("cat", "dog", "guinea pig"), ("man", "woman"), ("Black people", "Asian people"),
               ("atheist", "Sikh")))  # fmt: skip


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A dog, a Woman, a DOG.", ["dog", "woman"]),
        ("dogs and catwoman", []),
        ("a guinea\n pig", ["guinea pig"]),
        ("black people", ["Black people"]),
        ("the_man man's", ["man"]),
        ("man-made, a dog-man, un\u2010dog", []),
        ("- man -dog a cat--and", ["man", "dog", "cat"]),
        ("", []),
    ],
)
def test_terms_are_found_as_whole_words_in_any_case(text, found):
    assert TERMS.found_in(text) == found


@pytest.mark.parametrize(
    ("text", "term", "other", "expected"),
    [
        ("Dog, dog, DOG, dogs", "dog", "cat", "Cat, cat, CAT, dogs"),
        ("a man and a Woman", "man", "woman", "a woman and a Man"),
        ("a dog", "dog", "guinea pig", "a guinea pig"),
        ("Guinea  pigs? Guinea  pig!", "guinea pig", "cat", "Guinea  pigs? Cat!"),
        ("black people", "Black people", "Asian people", "asian people"),
        ("Black people", "Black people", "Asian people", "Asian people"),
        ("a cat", "dog", "guinea pig", "a cat"),
        ("a woman, a man-made dog", "woman", "man", "a man, a man-made dog"),
        ("An atheist, atheist ATHEIST", "atheist", "Sikh", "An Sikh, Sikh SIKH"),
        ("a Sikh, a sikh", "Sikh", "atheist", "a Atheist, a atheist"),
    ],
)
def test_terms_are_exchanged(text, term, other, expected):
    assert TERMS.exchange(text, term, other) == expected


def test_others_are_those_of_the_group():
    assert TERMS.others("dog") == ("cat", "guinea pig")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ((("a", "b"), ("b", "c")), "The term 'b' is listed twice."),
        ((("a b", "A  B"),), "The term 'A  B' is listed twice."),
        ((("a",),), "Expected groups of at least two terms."),
        ((("a", " "),), "Expected groups of at least two terms."),
        ((), "Expected at least one group of terms."),
    ],
)
def test_groups_that_are_none(groups, message):
    with pytest.raises(InputError, match=message):
        Terms(groups)


def test_thousands_of_terms():
    """Each is found, the longest first, and none is compared with every word."""
    words = [f"{first}{second}{number}" for number in range(10)
             for first in "abcdefghijklmnopqrstuvwxyz" for second in "aeiou"]  # fmt: skip
    words += [f"{word} {word}" for word in words]
    terms = Terms(tuple(zip(words[::2], words[1::2], strict=True)))
    assert terms.found_in(" , ".join(words)) == words
    for _ in range(200):
        terms.found_in("Something else altogether. " * 40)


def test_letters_without_a_single_lower_case():
    terms = Terms((("\u0130mam", "ra\u0131l"), ("stra\u00dfe", "weg")))
    assert terms.found_in("imam RAIL STRA\u1e9eE Weg") == [
        "\u0130mam", "ra\u0131l", "stra\u00dfe", "weg"
    ]  # fmt: skip


def test_a_file_of_terms(tmp_path):
    path = tmp_path / "terms.csv"
    path.write_text("\ufeff# pets\ncat, dog ,guinea   pig\n\n # people\nman,woman,\n,,\n", "utf-8")
    assert read_terms(path).groups == (("cat", "dog", "guinea pig"), ("man", "woman"))


def test_a_file_of_terms_is_csv(tmp_path):
    path = tmp_path / "terms.csv"
    path.write_text('"Latin, American", "say ""no"""\nC#,Java\n"#metoo",#blm\n', "utf-8")
    terms = read_terms(path)
    assert terms.groups == (("Latin, American", 'say "no"'), ("C#", "Java"), ("#metoo", "#blm"))
    assert terms.exchange("C# #MeToo", "C#", "Java") == "Java #MeToo"


def test_the_packages_own_terms():
    groups = read_terms().groups
    assert ("man", "woman") in groups
    assert all(len(group) > 1 for group in groups)
    assert read_terms().found_in("a Native American") == ["Native American"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n# c\nd\n", "line 3: expected at least two terms with commas between them."),
        ("a,,b\n", "line 1: expected at least two terms"),
        ("man;woman\n", "Received: 'man;woman'. It has semicolons: write commas instead."),
        ("man\twoman\n", "It has tabs: write commas instead."),
        ("a,b # c\n", "line 1: put the comment on a line of its own. Received: 'b # c'."),
        ("a,b, # c\n", "line 1: put the comment on a line of its own. Received: '# c'."),
        ('"a,b\n', "line 1: not CSV: unexpected end of data."),
        ("a,b\nc,A\n", "line 2: the term 'A' is in line 1 already."),
        ("a,a\n", "line 1: the term 'a' is in line 1 already."),
        ("# nothing\n", "has no terms. Expected one group a line, such as man,woman."),
    ],
)
def test_bad_files(text, message, tmp_path):
    path = tmp_path / "terms.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as error:
        read_terms(path)
    assert message in str(error.value)


def test_a_file_that_is_not_there_or_not_utf8(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file of terms"):
        read_terms(tmp_path / "none.csv")
    (tmp_path / "terms.csv").write_bytes("ärztin,arzt".encode("cp1252"))
    with pytest.raises(InputError, match="is not UTF-8"):
        read_terms(tmp_path / "terms.csv")

"""Requests that must be refused, of many kinds, and those that are odd and must be answered."""

import json
import random
import string


def odd_texts() -> list[str]:
    """Texts that are no usual ones, and are Unicode."""
    return [
        "",
        " ",
        "\0",
        "a\0b\0c",
        "\n\t\r\v\f",
        "👊👊👩‍👩‍👧‍👦🏳️‍🌈",
        "\u202eyadot\u202c is it",
        "שלום עולם، مرحبا بالعالم",
        "é" * 300,
        "Z" + "\u0300\u0301\u0302" * 500,
        "\u200b\u200c\u200d\ufeff",
        "\ufffe\uffff\U0010ffff",
        "中文" * 200,
        "x" * 20_000,
        "no " * 6_666,
        "[CLS] [SEP] [MASK] [PAD] [UNK]",
        '"}, "texts": ["',
        "\\ud800",
        "\x7f\x80\x9f\xa0",
        "ﷺ" * 50,
        "ẞßſﬀİı",
        "".join(map(chr, range(1, 0xD800, 61)))[:1000],
    ]


def bodies(seed: int, count: int, max_texts: int = 256, max_characters: int = 20_000):
    """Bodies that are no request, with the statuses that they may have."""
    choose = random.Random(seed)
    for _ in range(count):
        yield choose.choice(_KINDS)(choose, max_texts, max_characters)


def _broken(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    whole = json.dumps({"texts": ["a whole sentence", "é 👊"], "explain": False}).encode()
    return whole[: choose.randrange(len(whole))], {400}


def _garbage(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    return b"\xff" + choose.randbytes(choose.randrange(200)), {400}


def _wrong_type(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    value = choose.choice([None, True, 1, -1.5, 1e308, "text", {}, {"0": "text"}, [], [[]], [[[]]]])
    place = choose.choice(["whole", "texts", "text"])
    if place == "whole":
        return json.dumps(value).encode(), {422}
    if place == "texts":
        return json.dumps({"texts": value}).encode(), {422}
    value = 7 if isinstance(value, str) else value
    return json.dumps({"texts": ["fine", value]}).encode(), {422}


def _wrong_field(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    more = choose.choice(
        [
            {"text": "a"},
            {"explain": 1},
            {"explain": "false"},
            {"explain": None},
            {"text_pairs": ["a"]},
            {"text_pairs": []},
            {"text_pairs": "a"},
            {"": 0},
            {"__proto__": {}},
            {choose.choice(string.ascii_letters) * 5000: 1},
        ]
    )
    return json.dumps({"texts": ["fine"]} | more).encode(), {422}


def _surrogate(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    half = choose.choice(["\\ud800", "\\udfff", "\\udc00\\ud800", "a\\ud83d", "\\ud83d\\u0041"])
    return b'{"texts": ["' + half.encode() + b'"]}', {400, 422}


def _raw_surrogate(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    return b'{"texts": ["\xed\xa0\x80 \xc0\xaf"]}', {400}


def _control(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    return b'{"texts": ["a' + bytes([choose.randrange(0x20)]) + b'b"]}', {400}


def _many(choose: random.Random, max_texts: int, _: int) -> tuple[bytes, set[int]]:
    return json.dumps({"texts": ["a"] * (max_texts + choose.choice([1, 2, 1000]))}).encode(), {422}


def _long(choose: random.Random, _: int, most: int) -> tuple[bytes, set[int]]:
    text = choose.choice(["a", "é", "👊", "a "]) * (most + choose.choice([1, 1000]))
    return json.dumps({"texts": [text]}, ensure_ascii=False).encode(), {422}


def _deep(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    return b'{"texts": ' + b"[" * choose.choice([300, 50_000]), {400}


def _number(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    return b'{"texts": ' + b"9" * choose.choice([400, 5000]) + b"}", {400, 422}


def _not_json(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    given = [
        b"",
        b"texts=a",
        b"NaN",
        b"{'texts': ['a']}",
        b'{"texts": ["a"],}',
        b'{"texts": [NaN]}',
    ]
    body = choose.choice([*given, b'{"texts": ["a"]} x', b'\xef\xbb\xbf{"texts": ["a"]}'])
    return body, {400, 422}


def _utf16(choose: random.Random, *limits: int) -> tuple[bytes, set[int]]:
    return '{"texts": ["a"]}'.encode(choose.choice(["utf-16", "utf-32"])), {400}


_KINDS = [
    _broken,
    _garbage,
    _wrong_type,
    _wrong_field,
    _surrogate,
    _raw_surrogate,
    _control,
    _many,
    _long,
    _deep,
    _number,
    _not_json,
    _utf16,
]

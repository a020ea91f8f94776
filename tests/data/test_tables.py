import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kerasbert.data.tables import READ_ROWS, open_table
from kerasbert.errors import InputError


@pytest.fixture
def write(tmp_path):
    """A function that writes a file, as UTF-8 where it is given text, and returns its path."""

    def write_file(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write_file


def rows_of(path, **options):
    return list(open_table(path, **options).rows())


def message_of(path, **options):
    with pytest.raises(InputError) as caught:
        rows_of(path, **options)
    return str(caught.value)


def test_csv_rows_are_numbered_from_the_header(write):
    table = open_table(write("a.csv", "text,label\nhi,1\nyo,0\n"))
    assert table.columns == ("text", "label")
    assert list(table.rows()) == [(2, ["hi", "1"]), (3, ["yo", "0"])]


def test_rows_can_be_read_again(write):
    table = open_table(write("a.csv", "text,label\nhi,1\n"))
    assert list(table.rows()) == list(table.rows()) == [(2, ["hi", "1"])]


def test_csv_quotes_hold_commas_quotes_and_line_breaks(write):
    path = write("a.csv", 'text,label\n"a, ""b""\nc\r\nd",1\n')
    assert rows_of(path) == [(2, ['a, "b"\nc\r\nd', "1"])]


def test_a_quote_inside_an_unquoted_cell_is_kept(write):
    assert rows_of(write("a.csv", 'text,label\nsay "hi",1\n')) == [(2, ['say "hi"', "1"])]


@pytest.mark.parametrize("line_break", ["\n", "\r\n", "\r"])
def test_csv_with_any_line_break(line_break, write):
    path = write("a.csv", line_break.join(["text,label", "hi,1", "yo,0"]))
    assert rows_of(path) == [(2, ["hi", "1"]), (3, ["yo", "0"])]


@pytest.mark.parametrize("name", ["a.csv", "a.CSV"])
def test_the_case_of_the_ending_does_not_matter(name, write):
    assert rows_of(write(name, "text\nhi\n")) == [(2, ["hi"])]


def test_a_byte_order_mark_is_passed_over(write):
    assert open_table(write("a.csv", "\ufefftext,label\nhi,1\n")).columns == ("text", "label")
    assert open_table(write("a.jsonl", '\ufeff{"text": "hi"}\n')).columns == ("text",)


def test_blank_lines_are_passed_over_and_counted(write):
    path = write("a.csv", "text,label\n\nhi,1\n\n\nyo,0\n\n")
    assert rows_of(path) == [(3, ["hi", "1"]), (6, ["yo", "0"])]


def test_blank_lines_above_the_header_are_passed_over(write):
    table = open_table(write("a.csv", "\n\ntext,label\nhi,1\n"))
    assert table.columns == ("text", "label")
    assert list(table.rows()) == [(4, ["hi", "1"])]


def test_a_row_with_too_few_cells_is_named(write):
    path = write("a.csv", "text,label,note\nhi,1,x\nyo,1\n")
    assert message_of(path).startswith(f"{path}, row 3: 2 cells where the header has 3.")


def test_a_row_of_white_space_is_passed_over(write):
    path = write("a.csv", "text,label\nhi,1\n  \n")
    assert rows_of(path) == [(2, ["hi", "1"])]


def test_half_a_surrogate_pair_in_json_is_named(write):
    path = write("a.jsonl", '{"text": "fine \\ud83d\\ude00"}\n{"text": "hi", "id": "\\ud800"}\n')
    assert message_of(path).startswith(f"{path}, row 2: half of a surrogate pair")


def test_a_parquet_cell_that_python_cannot_hold_is_an_input_error(tmp_path):
    far = pa.array([300_000_000_000], pa.timestamp("s"))
    pq.write_table(pa.table({"text": ["hi"], "when": far}), tmp_path / "a.parquet")
    assert "in the 1,000 rows after row 0" in message_of(tmp_path / "a.parquet")


def test_a_row_with_too_many_cells_is_named(write):
    path = write("a.csv", "text,label\nhi,1\nwell, hello,0\n")
    assert message_of(path) == (
        f"{path}, row 3: 3 cells where the header has 2. A text that holds a comma must stand in "
        "quotes."
    )


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('text,label\nhi,1\n"hi" there,0\n', "',' expected after '\"'"),
        ('text,label\nhi,1\n"hi,0\nyo,1\n', "unexpected end of data"),
    ],
)
def test_a_row_with_broken_quoting_is_named(content, problem, write):
    path = write("a.csv", content)
    assert message_of(path) == (
        f"{path}, row 3: the quoting is broken ({problem}). Expected a cell that holds quotes or "
        'commas to stand in "...", with each quote in it doubled.'
    )


def test_a_column_that_is_there_twice_is_named(write):
    path = write("a.csv", "text,label,text\na,1,b\n")
    assert message_of(path) == (f"{path}: the column 'text' is there twice. Rename one of them.")


def test_columns_without_a_name_are_let_pass(write):
    # A spreadsheet writes its empty columns, too.
    table = open_table(write("a.csv", "text,label,,\nhi,1,,\nyo,0,,note\n"))
    assert table.columns == ("text", "label", "", "")
    assert list(table.rows()) == [(2, ["hi", "1", "", ""]), (3, ["yo", "0", "", "note"])]


def test_of_several_columns_that_are_there_twice_the_first_is_named(write):
    path = write("a.csv", ",,b,a,a,b\n1,2,3,4,5,6\n")
    assert message_of(path) == (f"{path}: the column 'b' is there twice. Rename one of them.")


def test_a_field_of_any_length_is_read(write):
    # The csv module's own limit is 131,072 characters.
    text = "word " * 40_000
    assert rows_of(write("a.csv", f"text,label\n{text},1\n")) == [(2, [text, "1"])]


def test_a_binary_file_is_refused(write):
    path = write("a.csv", b"text,label\nh\0i,1\n")
    assert message_of(path) == (
        f"{path} is a binary file. Expected text; if it is UTF-16, pass --encoding utf-16."
    )


@pytest.mark.parametrize(
    ("name", "before", "row"),
    [
        ("a.csv", "text,label\nfine,1\n", 3),
        ("a.csv", "text,label\n" + "fine,1\n" * 5000, 5002),
        ("a.jsonl", '{"text": "fine"}\n', 2),
    ],
)
def test_the_first_row_that_is_not_utf_8_is_named(name, before, row, write):
    path = write(name, before.encode() + "caf\xe9,1\n".encode("cp1252"))
    assert message_of(path) == (
        f"{path}, row {row}: the byte 0xe9 is not utf-8. Pass --encoding with the right one "
        "(often cp1252), or save the file as UTF-8."
    )


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16", "utf-8"])
def test_a_file_is_read_in_the_encoding_given(encoding, write):
    csv_path = write("a.csv", "text,label\ncaf\xe9,1\n".encode(encoding))
    json_path = write("a.jsonl", '{"text": "caf\xe9"}\n'.encode(encoding))
    assert rows_of(csv_path, encoding=encoding) == [(2, ["caf\xe9", "1"])]
    assert rows_of(json_path, encoding=encoding) == [(1, ["caf\xe9"])]


# The third and fourth are codecs of Python, but not of text; the fifth cannot be a name.
@pytest.mark.parametrize("encoding", ["utf-9", "", "base64", "rot13", "utf-8\0"])
@pytest.mark.parametrize(("name", "content"), [("a.csv", "text\nhi\n"), ("a.jsonl", "{}\n")])
def test_an_unknown_encoding_is_named(encoding, name, content, write):
    path = write(name, content)
    assert message_of(path, encoding=encoding) == (
        f"Unknown `encoding` {encoding!r}. Expected one that Python knows, such as 'utf-8', "
        "'cp1252' or 'utf-16'."
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "text,label\nhi,1\n"),
        ("a.csv", "text,label\nhi,12\n"),
        ("a.jsonl", '{"text": "hi"}\n'),
    ],
)
def test_a_file_that_is_not_in_the_encoding_given_is_refused(encoding, name, content, write):
    path = write(name, content)
    assert message_of(path, encoding=encoding) == (
        f"{path} is not {encoding}. Pass --encoding with the right one (often cp1252), or save the "
        "file as UTF-8."
    )


@pytest.mark.parametrize("count", [1, 5000])
@pytest.mark.parametrize(
    ("name", "header", "line"),
    [("a.csv", "text,label\n", "hi,1\n"), ("a.jsonl", "", '{"text": "hi"}\n')],
)
def test_a_file_that_ends_within_a_character_is_refused(count, name, header, line, write):
    path = write(name, (header + line * count).encode("utf-16")[:-1])
    assert message_of(path, encoding="utf-16") == (
        f"{path} is not utf-16. Pass --encoding with the right one (often cp1252), or save the "
        "file as UTF-8."
    )


def test_the_first_row_that_is_not_in_another_encoding_is_named(write):
    path = write("a.csv", "text,label\nhi,1\ncaf\xe9,1\n".encode())
    assert message_of(path, encoding="ascii") == (
        f"{path}, row 3: the byte 0xc3 is not ascii. Pass --encoding with the right one "
        "(often cp1252), or save the file as UTF-8."
    )


def test_an_empty_file_is_refused(write):
    path = write("a.csv", "")
    assert message_of(path) == f"{path} is empty. Expected a header and at least one row."


@pytest.mark.parametrize("content", ["text,label", "text,label\n", "text,label\n\n\n"])
def test_a_header_alone_is_refused(content, write):
    path = write("a.csv", content)
    assert message_of(path) == f"{path} has a header and no rows. Expected at least one."


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_blank_lines_alone_are_refused(name, write):
    path = write(name, "\n\n")
    assert message_of(path) == f"{path} has no rows. Expected at least one."


@pytest.mark.parametrize(("name", "received"), [("a.xlsx", ".xlsx"), ("a", "no ending")])
def test_a_file_of_another_ending_is_refused(name, received, write):
    path = write(name, "text\nhi\n")
    assert message_of(path) == (
        f"{path}: expected a file ending in .csv, .parquet, .jsonl or .ndjson. "
        f"Received: {received!r}."
    )


def test_a_missing_file_is_named(tmp_path):
    path = str(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError) as caught:
        open_table(path)
    assert str(caught.value) == f"The file {path!r} does not exist."


def test_a_directory_is_not_a_file(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        open_table(tmp_path)
    assert str(caught.value) == f"The file {str(tmp_path)!r} is a directory, not a file."


def test_json_lines_are_numbered_from_1(write):
    table = open_table(write("a.jsonl", '{"text": "hi", "n": 1}\n\n{"text": "yo", "n": 2.5}\n'))
    assert table.columns == ("text", "n")
    assert list(table.rows()) == [(1, ["hi", 1]), (3, ["yo", 2.5])]


def test_a_key_may_be_missing_and_may_come_late(write):
    table = open_table(write("a.ndjson", '{"text": "hi"}\n{"label": true, "text": null}\n'))
    assert table.columns == ("text", "label")
    assert list(table.rows()) == [(1, ["hi", None]), (2, [None, True])]


def test_a_json_text_may_hold_line_breaks(write):
    text = "a\nb\r\u2028c"
    line = json.dumps({"text": text}, ensure_ascii=False)
    assert rows_of(write("a.jsonl", line)) == [(1, [text])]


@pytest.mark.parametrize("line", ["[1, 2]", '"text"', "3", "null"])
def test_a_line_that_is_no_object_is_named(line, write):
    path = write("a.jsonl", f'{{"text": "hi"}}\n{line}\n')
    assert message_of(path) == (
        f"{path}, row 2: expected an object with a key per column. Received: {line!r}."
    )


def test_a_line_that_is_not_json_is_named(write):
    path = write("a.jsonl", '{"text": "hi"}\n{text: hi}\n')
    assert message_of(path) == (
        f"{path}, row 2: not JSON: Expecting property name enclosed in double quotes."
    )


def test_a_line_that_is_nested_too_deep_is_named(write):
    path = write("a.jsonl", f'{{"text": "hi"}}\n{"[" * 100_000}{"]" * 100_000}\n')
    assert message_of(path).startswith(f"{path}, row 2: not JSON: ")


def test_parquet_keeps_its_types_and_missing_cells(tmp_path):
    path = tmp_path / "a.parquet"
    columns = {
        "text": ["hi", None, "yo"],
        "count": [1, 2, None],
        "score": [0.5, None, 2.0],
        "rude": [True, False, None],
    }
    pq.write_table(pa.table(columns), path)
    table = open_table(path)
    assert table.columns == ("text", "count", "score", "rude")
    assert list(table.rows()) == [
        (1, ["hi", 1, 0.5, True]),
        (2, [None, 2, None, False]),
        (3, ["yo", None, 2.0, None]),
    ]


def test_parquet_rows_are_counted_across_what_is_read_at_once(tmp_path):
    path = tmp_path / "a.parquet"
    count = 2 * READ_ROWS + 3
    pq.write_table(pa.table({"n": list(range(count))}), path, row_group_size=700)
    assert rows_of(path) == [(number + 1, [number]) for number in range(count)]


def test_parquet_without_rows_is_refused(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), path)
    assert message_of(path) == f"{path} has a header and no rows. Expected at least one."


def test_a_parquet_column_that_is_there_twice_is_named(tmp_path):
    path = tmp_path / "a.parquet"
    columns = [pa.array(["hi"]), pa.array(["1"]), pa.array(["yo"])]
    pq.write_table(pa.Table.from_arrays(columns, names=["text", "label", "text"]), path)
    assert message_of(path) == f"{path}: the column 'text' is there twice. Rename one of them."


def test_a_file_that_only_calls_itself_parquet_is_refused(write):
    path = write("a.parquet", "text,label\nhi,1\n")
    message = message_of(path)
    assert message.startswith(f"{path} is not a Parquet file: ")
    assert message.endswith(".")
    assert not message.endswith("..")


def write_parquet(path):
    """Three parts of 1,000 rows, of which the last one is broken in its midst."""
    texts = [f"text {number}" for number in range(3000)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=1000, compression="gzip")
    content = bytearray(path.read_bytes())
    with pq.ParquetFile(path) as file:
        part = file.metadata.row_group(2).column(0)
    middle = part.data_page_offset + part.total_compressed_size // 4
    content[middle : middle + 40] = b"\xff" * 40
    path.write_bytes(content)


def test_parquet_that_is_broken_further_down_names_the_file(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path)
    message = message_of(path)
    assert re.match(
        re.escape(str(path)) + r", in the 1,000 rows after row (0|1000|2000): \S", message
    )


def test_the_rows_above_the_break_are_read(tmp_path):
    path = tmp_path / "a.parquet"
    write_parquet(path)
    rows = open_table(path).rows()
    assert next(rows) == (1, ["text 0"])


def test_parquet_whose_end_is_broken_names_the_file(tmp_path):
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"text": ["hi", "yo"]}), path)
    content = bytearray(path.read_bytes())
    # The last eight bytes are the length of what stands above them, and a mark.
    content[-48:-8] = b"\xff" * 40
    path.write_bytes(content)
    assert message_of(path).startswith(f"{path} is not a Parquet file: ")

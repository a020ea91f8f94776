import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from kerasbert.errors import InputWarning
from kerasbert.training.feature_store import KEY, FeatureStore, gathered, make_room

# Two processes add to one store, as close together as a pipe can bring them.
ADD = """
import sys
from pathlib import Path
import numpy as np
from kerasbert.training.feature_store import KEY, FeatureStore

directory, letter = sys.argv[1:]
store = FeatureStore(Path(directory))
print("ready", flush=True)
sys.stdin.readline()
for number in range(20):
    key = f"{letter}{number:015d}".encode()
    store.add(np.array([key], KEY), [np.full((1, 2), number, np.float32)])
"""


def keys_of(*names):
    return np.array([name.ljust(16, "-").encode() for name in names], KEY)


def rows_of(*values, width=3):
    """For each value a text with as many rows as its number, all of them that number."""
    return [np.full((value, width), value, np.float32) for value in values]


def read(store, *names):
    """The first number of each text's rows and how many there are; None for a text without."""
    found = []
    for shard_number, text in zip(*store.find(keys_of(*names)), strict=True):
        if shard_number == -1:
            found.append(None)
            continue
        shard = store.shards[shard_number]
        rows = shard.rows[shard.offsets[text] : shard.offsets[text + 1]]
        assert np.all(rows == rows[0, 0])
        found.append((rows[0, 0], len(rows)))
    return found


def test_one_row_of_each_text_is_gathered_from_all_shards(tmp_path, monkeypatch):
    monkeypatch.setattr("kerasbert.training.feature_store._MAPPED", 150)
    store = FeatureStore(tmp_path / "store")
    # Of texts with one row each; the second shard is small enough to be read.
    store.add(keys_of("c", "a", "d"), [np.full((1, 3), value, np.float32) for value in (2, 0, 3)])
    store.add(keys_of("b"), [np.full((1, 3), 1, np.float32)])
    assert [isinstance(shard.rows, np.memmap) for shard in store.shards] == [True, False]
    for names in ("dabbca", "ddac", "b"):
        rows = gathered(store.shards, *store.find(keys_of(*names)))
        assert type(rows) is np.ndarray
        assert rows.dtype == np.float32
        np.testing.assert_array_equal(rows, [["abcd".index(name)] * 3 for name in names])
    # And not a view of what is mapped, which may be removed.
    assert rows.base is None or not isinstance(rows.base, np.memmap)


@pytest.fixture
def directory(tmp_path):
    """A store of two shards: a and c, and b."""
    store = FeatureStore(tmp_path / "store")
    store.add(keys_of("c", "a"), rows_of(3, 1))
    store.add(keys_of("b"), rows_of(2))
    return tmp_path / "store"


def shard_with(directory, name):
    """The shard, of the two, that holds a key."""
    return next(
        path
        for path in directory.glob("shard-*")
        if keys_of(name)[0] in np.load(path / "keys.npy").tolist()
    )


def test_rows_are_found_under_their_keys():
    store = FeatureStore(None)
    store.add(keys_of("c", "a", "b"), rows_of(3, 1, 2))
    assert read(store, "a", "b", "c") == [(1, 1), (2, 2), (3, 3)]
    store.close()


def test_keys_that_are_not_there(directory):
    store = FeatureStore(directory)
    assert read(store, "0", "a", "aa", "bb", "d") == [None, (1, 1), None, None, None]
    assert read(store) == []


def test_an_empty_store_finds_nothing(tmp_path):
    assert read(FeatureStore(tmp_path / "store"), "a", "b") == [None, None]


def test_several_shards_are_one_store(directory):
    store = FeatureStore(directory)
    assert len(store.shards) == 2
    assert read(store, "c", "b", "a", "b") == [(3, 3), (2, 2), (1, 1), (2, 2)]


@pytest.mark.parametrize("is_mapped", [False, True])
def test_what_is_read_again_is_exact_and_mapped_where_it_is_large(
    is_mapped, directory, monkeypatch
):
    if is_mapped:
        monkeypatch.setattr("kerasbert.training.feature_store._MAPPED", 0)
    store = FeatureStore(directory)
    assert {isinstance(shard.rows, np.memmap) for shard in store.shards} == {is_mapped}
    assert {shard.rows.dtype.name for shard in store.shards} == {"float32"}
    assert sorted(shard.rows.shape for shard in store.shards) == [(2, 3), (4, 3)]


@pytest.mark.parametrize("again", [False, True], ids=["as added", "read again"])
def test_keys_that_end_in_zero_bytes(again, tmp_path):
    store = FeatureStore(tmp_path / "store")
    keys = np.array([b"a" * 14 + b"\0\0", b"\0" * 16, b"a" * 14 + b"\0b", b"a" * 15], KEY)
    store.add(keys, rows_of(4, 5, 6, 7))
    if again:
        store = FeatureStore(tmp_path / "store")
    _, texts = store.find(keys)
    shard = store.shards[0]
    assert [shard.rows[shard.offsets[text], 0] for text in texts] == [4, 5, 6, 7]
    others = np.array([b"a" * 13, b"a" * 14 + b"b", b"a" * 16, b"\0b"], KEY)
    assert store.find(others)[0].tolist() == [-1, -1, -1, -1]


def cut_off(path):
    path.write_bytes(path.read_bytes()[:-9])


def emptied(path):
    path.write_bytes(b"")


def altered(path):
    data = bytearray(path.read_bytes())
    data[-4] ^= 1  # in the last number, of sums.json too
    path.write_bytes(data)


@pytest.mark.parametrize("harm", [cut_off, emptied, altered])
@pytest.mark.parametrize("name", ["keys.npy", "offsets.npy", "rows.npy", "sums.json"])
def test_a_damaged_shard_is_removed_and_said_so(name, harm, directory):
    shard = shard_with(directory, "a")
    harm(shard / name)
    with pytest.warns(InputWarning, match=f"{shard.name} are damaged .* computed again"):
        store = FeatureStore(directory)
    assert not shard.exists()
    assert read(store, "a", "b", "c") == [None, (2, 2), None]
    store.add(keys_of("a"), rows_of(1))
    assert read(FeatureStore(directory), "a", "b", "c") == [(1, 1), (2, 2), None]


def test_the_sum_of_another_shard(directory):
    first, second = shard_with(directory, "a"), shard_with(directory, "b")
    shutil.copy(second / "rows.npy", first / "rows.npy")
    with pytest.warns(InputWarning, match=r"rows.npy is not what was written"):
        assert read(FeatureStore(directory), "a", "b") == [None, (2, 2)]


@pytest.mark.parametrize("name", ["keys.npy", "offsets.npy", "rows.npy", "sums.json"])
def test_a_shard_that_lacks_a_file_is_passed_over(name, directory):
    (shard_with(directory, "a") / name).unlink()
    store = FeatureStore(directory)
    assert read(store, "a", "b", "c") == [None, (2, 2), None]
    assert len(list(directory.glob("shard-*"))) == 1
    store.add(keys_of("a"), rows_of(1))
    assert read(FeatureStore(directory), "a", "b", "c") == [(1, 1), (2, 2), None]


def test_a_shard_that_was_not_finished_is_not_looked_at_and_removed_a_day_later(directory):
    unfinished = shard_with(directory, "a").rename(directory / ".unfinished")
    assert read(FeatureStore(directory), "a", "b") == [None, (2, 2)]
    assert unfinished.exists()
    os.utime(unfinished, (0, 0))
    FeatureStore(directory)
    assert not unfinished.exists()


@pytest.mark.parametrize("bit", [(8, 64), (21, 2), (21, 16)])
def test_an_altered_bit_in_a_header_is_found(bit, directory):
    place, mask = bit
    path = shard_with(directory, "a") / "rows.npy"
    data = bytearray(path.read_bytes())
    data[place] ^= mask
    path.write_bytes(data)
    with pytest.warns(InputWarning, match="rows.npy is not what was written"):
        assert read(FeatureStore(directory), "a", "b") == [None, (2, 2)]


def test_many_small_shards_hold_no_files_open(tmp_path):
    store = FeatureStore(tmp_path / "store")
    for number in range(20):
        store.add(keys_of(str(number)), rows_of(1))
    before = len(list(Path("/proc/self/fd").iterdir()))
    again = FeatureStore(tmp_path / "store")
    assert len(again.shards) == 20
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_two_stores_on_one_directory(tmp_path):
    one, other = FeatureStore(tmp_path / "store"), FeatureStore(tmp_path / "store")
    one.add(keys_of("a", "b"), rows_of(1, 2))
    other.add(keys_of("b", "c"), rows_of(2, 3))
    assert read(one, "a", "b", "c") == [(1, 1), (2, 2), None]
    assert read(other, "a", "b", "c") == [None, (2, 2), (3, 3)]
    one.close()
    assert read(other, "a", "b", "c") == [None, (2, 2), (3, 3)]
    assert read(FeatureStore(tmp_path / "store"), "a", "b", "c") == [(1, 1), (2, 2), (3, 3)]


def test_two_processes_add_at_the_same_time(tmp_path):
    processes = [
        subprocess.Popen(
            [sys.executable, "-W", "error::UserWarning", "-c", ADD, tmp_path / "store", letter],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for letter in "ab"
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
        assert process.returncode == 0
    store = FeatureStore(tmp_path / "store")
    assert len(store.shards) == 40
    keys = np.array([f"{a}{n:015d}".encode() for a in "ab" for n in range(20)], KEY)
    shard_of, text_in = store.find(keys)
    values = [store.shards[s].rows[t, 0] for s, t in zip(shard_of, text_in, strict=True)]
    assert values == [*range(20), *range(20)]


def test_a_store_removed_by_another_process_stays_readable(directory):
    store = FeatureStore(directory)
    shutil.rmtree(directory)
    assert read(store, "a", "b", "c") == [(1, 1), (2, 2), (3, 3)]


def test_a_store_of_this_run_only_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    store = FeatureStore(None)
    store.add(keys_of("a"), rows_of(1))
    assert store.directory.parent == tmp_path
    assert len(list(store.directory.glob("shard-*"))) == 1
    store.close()
    assert list(tmp_path.iterdir()) == []


def test_a_store_with_a_directory_stays_after_it_was_closed(directory):
    store = FeatureStore(directory)
    store.close()
    assert store.shards == []
    assert len(list(directory.glob("shard-*"))) == 2


def test_a_store_that_was_removed_is_made_again(directory):
    store = FeatureStore(directory)
    shutil.rmtree(directory)
    store.add(keys_of("e"), rows_of(1))
    assert read(FeatureStore(directory), "a", "e") == [None, (1, 1)]


def test_rows_that_cannot_be_written_are_kept_in_memory(directory):
    store = FeatureStore(directory)
    shutil.rmtree(directory)
    directory.write_text("not a directory")
    with pytest.warns(InputWarning, match="60 bytes of features are kept in memory") as caught:
        store.add(keys_of("e", "d"), rows_of(1, 4))
    assert str(directory) in str(caught[0].message)
    assert "--cache-dir" in str(caught[0].message)
    assert read(store, "a", "d", "e") == [(1, 1), (4, 4), (1, 1)]
    assert not directory.is_dir()


def make_store(path, used):
    """A store that weighs a little over 4,000 bytes, last used at a time in seconds."""
    store = FeatureStore(path)
    store.add(keys_of("a"), [np.zeros((1000, 1), np.float32)])
    os.utime(path / "kerasbert-features", (used, used))
    return path


@pytest.fixture
def stores(tmp_path):
    """Three stores; what was made first was used last."""
    return [
        make_store(tmp_path / name, used=1000 * number)
        for name, number in (("a", 3), ("b", 2), ("c", 1))
    ]


def left(tmp_path):
    return sorted(path.name for path in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("limit", "expected"),
    # Each store weighs from 4,000 to 5,000 bytes, and 4,000 are to be added.
    [(20_000, ["a", "b", "c"]), (15_000, ["a", "b"]), (9_500, ["a"]), (8_000, [])],
)
def test_what_was_not_used_for_longest_is_removed_first(limit, expected, stores, tmp_path):
    make_room(tmp_path, 4000, limit, own=tmp_path / "new")
    assert left(tmp_path) == expected


def test_the_store_in_use_goes_last_and_shard_by_shard(stores, tmp_path):
    make_room(tmp_path, 4000, 15_000, own=tmp_path / "c")
    assert left(tmp_path) == ["a", "c"]
    store = FeatureStore(tmp_path / "c")
    os.utime(next((tmp_path / "c").glob("shard-*")), (0, 0))
    store.add(keys_of("b"), [np.zeros((1000, 1), np.float32)])
    make_room(tmp_path, 4000, 10_000, own=tmp_path / "c")
    assert left(tmp_path) == ["c"]
    assert read(FeatureStore(tmp_path / "c"), "a", "b") == [None, (0, 1000)]
    assert read(store, "a") == [(0, 1000)]  # whoever had it open has it still


def test_a_directory_without_the_mark_is_nobodys_to_remove(stores, tmp_path):
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "used").write_text("")
    make_room(tmp_path, 10, 20, own=tmp_path / "c")
    assert (tmp_path / "thesis" / "used").exists()


def test_opening_a_store_is_using_it(stores, tmp_path):
    FeatureStore(tmp_path / "c")
    make_room(tmp_path, 4000, 15_000, own=tmp_path / "new")
    assert left(tmp_path) == ["a", "c"]


def test_what_is_no_store_is_neither_counted_nor_removed(stores, tmp_path):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.png").write_bytes(b"." * 50_000)
    (tmp_path / "notes.txt").write_text("mine")
    make_room(tmp_path, 4000, 20_000, own=tmp_path / "new")
    assert left(tmp_path) == ["a", "b", "c", "notes.txt", "photos"]
    make_room(tmp_path, 4000, 0, own=tmp_path / "new")
    assert left(tmp_path) == ["notes.txt", "photos"]

"""The laws of tables of ids: in memory, mapped, encoded in parallel."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_pairs import write

from nmt.data import corpus, encode, ids
from nmt.data.encode import encoded
from nmt.data.ids import IdTable, MappedIds
from nmt.data.tokenizer import TokenizerPair
from nmt.errors import OutputError

sentences = st.lists(st.integers(4, 2**31 - 1), max_size=9)


@given(st.lists(sentences))
@settings(deadline=None, database=None)
def test_a_table_holds_the_sentences(rows):
    table = IdTable(iter(rows))
    assert [list(table[i]) for i in range(len(table))] == rows
    assert list(table.lengths) == [len(row) for row in rows]
    assert (table.flat.dtype, table.offsets.dtype) == (np.int32, np.int64)
    for outside in (-1, len(rows)):
        with pytest.raises(IndexError):
            table[outside]


@given(st.lists(sentences), st.integers(1, 5))
@settings(deadline=None, database=None)
def test_the_windows_of_a_table_have_every_sentence_once(rows, windows):
    table = IdTable(rows)
    for number in range(windows):
        window = table.window(number, windows)
        assert [list(window[i]) for i in range(len(window))] == rows[number::windows]
        assert list(window.lengths) == [len(row) for row in rows[number::windows]]


@pytest.fixture
def pair(tokenizers):
    return TokenizerPair(tokenizers["unigram"], tokenizers["bpe"], joint=False)


@pytest.fixture
def text(folder, load, monkeypatch):
    """100 pairs in record batches of 7."""
    monkeypatch.setattr(corpus, "_BATCH_PAIRS", 7)
    words = ("the cat", "r\u00e4in e\u0301", "", "\U0001f469\u200d\U0001f469", "a  dog\tsaw ")
    rows = [(f"{n} {words[n % 5]}".replace("\t", " "), words[(n + 2) % 5].replace("\t", " ")) for n in range(100)]
    write(folder, {"t.tsv": "".join(f"{src}\t{tgt}\n" for src, tgt in rows)})
    return load("t.tsv")


def ids_of(tables) -> list[list[list[int]]]:
    return [[found.tolist() for found in table] for table in tables]


def test_mapped_ids_are_those_of_the_tokenizers_line_by_line(text, pair):
    src, tgt = encoded(text, pair, threads=1)
    assert ids_of((src, tgt)) == [
        [pair.src.encode(line) for line in text.pairs["src"]],
        [pair.tgt.encode(line) for line in text.pairs["tgt"]],
    ]
    assert src.lengths.tolist() == [len(found) for found in src]
    window = src.window(2, 3)
    assert [found.tolist() for found in window] == ids_of([src])[0][2::3]
    assert window.lengths.tolist() == [len(found) for found in window]
    for outside in (-1, 100):
        with pytest.raises(IndexError):
            src[outside]


def test_mapped_ids_are_read_where_they_lie(text, pair):
    src, _ = encoded(text, pair, threads=1)
    assert src[5].dtype == np.uint16
    assert not src[5].flags.owndata and not src[5].flags.writeable
    assert np.shares_memory(src[5], src._flat[0])


def test_of_a_large_file_what_was_read_is_given_back(text, pair, monkeypatch):
    src, _ = encoded(text, pair, threads=1)
    given_back = []
    monkeypatch.setattr(type(src._file), "let_go", lambda self: given_back.append(1))
    monkeypatch.setattr(ids, "_READS_TOGETHER", 10)
    before = [found.tolist() for found in src]
    assert given_back == []
    monkeypatch.setattr(ids, "_HELD_BYTES", 0)
    assert [found.tolist() for found in src] == before
    assert len(given_back) == 10


def test_any_number_of_processes_gives_the_same_file(text, pair, tmp_path, monkeypatch):
    encoded(text, pair, threads=1)
    [file] = (tmp_path / "cache").glob("*.ids")
    alone = file.read_bytes()
    monkeypatch.setattr(encode, "PAIRS_ALONE", 40)
    monkeypatch.setattr(encode, "encode_part", None)  # in this process
    file.unlink()
    told = []
    encoded(text, pair, threads=3, watch=lambda done, total: told.append((done, total)))
    assert file.read_bytes() == alone
    assert (len(told), told[-1], told == sorted(told)) == (15, (100, 100), True)


def test_a_second_call_maps_the_file_and_another_tokenizer_has_another(text, pair, tmp_path, monkeypatch):
    encoded(text, pair, threads=1)
    swapped = TokenizerPair(pair.tgt, pair.src, joint=False)
    assert ids_of(encoded(text, swapped, threads=1))[0] == [pair.tgt.encode(line) for line in text.pairs["src"]]
    monkeypatch.setattr(encode, "_encode", None)  # it would fail if it encoded anything
    assert ids_of(encoded(text, pair))[0] == [pair.src.encode(line) for line in text.pairs["src"]]
    assert len(list((tmp_path / "cache").glob("*.ids"))) == 2
    monkeypatch.setattr(encode, "IDS_VERSION", 0)
    with pytest.raises(TypeError):
        encoded(text, pair)


@pytest.mark.parametrize("suffix", [".ids", ".json"])
@pytest.mark.parametrize("damage", ["gone", "empty", "cut", "flip"])
def test_damaged_ids_are_encoded_again(suffix, damage, text, pair, tmp_path):
    expected = ids_of(encoded(text, pair, threads=1))
    [stored] = (tmp_path / "cache").glob("*.ids")
    file = stored.with_suffix(suffix)
    sound = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        middle = len(sound) // 2
        flipped = sound[:middle] + bytes([sound[middle] ^ 1]) + sound[middle + 1 :]
        file.write_bytes({"empty": b"", "cut": sound[:-9], "flip": flipped}[damage])
    assert ids_of(encoded(text, pair, threads=1)) == expected
    assert file.read_bytes() == sound


def test_what_goes_wrong_in_a_process_is_told_with_its_last_words(text, pair, tmp_path, monkeypatch):
    monkeypatch.setattr(encode, "PAIRS_ALONE", 40)
    monkeypatch.setattr(encode, "_WORK", "import sys; sys.stdin.read(); sys.exit('no {path!r:.0}luck')")
    with pytest.raises(OutputError, match=r"ended with 1: no luck\n*.*set train.threads to 1"):
        encoded(text, pair, threads=3)
    assert list((tmp_path / "cache").glob("*.ids")) == []


def test_a_large_vocabulary_has_wider_ids(text, pair, monkeypatch):
    monkeypatch.setattr(type(pair.src), "vocab_size", property(lambda self: 1 << 17))
    src, _ = encoded(text, pair, threads=1)
    assert src[5].dtype == np.int32
    assert src[5].tolist() == pair.src.encode(text.pairs["src"][5])


def test_a_file_of_ids_is_a_table_for_each_side(text, pair, tmp_path):
    encoded(text, pair, threads=1)
    [file] = Path(tmp_path / "cache").glob("*.ids")
    assert [len(MappedIds(file, side)) for side in ("src", "tgt")] == [100, 100]


@pytest.mark.parametrize("windows", [1, 3])
def test_lengths_of_rows_are_those_of_the_sentences_in_the_order_asked(text, pair, windows):
    mapped = encoded(text, pair, threads=1)[0]
    for table in (mapped, IdTable(mapped)):
        every = table.window(0, windows)
        asked = np.random.default_rng(1).integers(len(every), size=50)
        assert every.lengths_of(asked).tolist() == [len(every[row]) for row in asked]
    assert mapped.lengths_of(np.array([], dtype=np.int64)).tolist() == []

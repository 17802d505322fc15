import gzip
import json
import os
import threading
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from toy_run import nmt, phrasebook, write_recipe

from nmt.corpora.check_text import Looking
from nmt.corpora.histogram import LENGTH_BOUNDS, Lengths, drawn
from nmt.corpora.rules import Limits
from nmt.data.corpus import Filters, open_corpus
from nmt.data.sources import SourceRules

LOOKING = Looking(Limits(src_lang="de", tgt_lang="en"), None)
PAIRS = phrasebook(2000, longest=60)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))


def write(folder: Path, src: bytes | Sequence[str], tgt: bytes | Sequence[str]) -> list[Path]:
    paths = [folder / "text.de", folder / "text.en"]
    for path, side in zip(paths, (src, tgt), strict=True):
        path.write_bytes(side if isinstance(side, bytes) else "".join(f"{line}\n" for line in side).encode())
    return paths


def check(*args: object, code: int = 0) -> dict[str, Any]:
    result = nmt("data", "check", "--json", "--workers", 1, *args)
    assert result.code == code, result.err + result.text
    found: dict[str, Any] = json.loads(result.out)
    return found


def sides() -> tuple[list[str], list[str]]:
    return [src for src, _ in PAIRS], [tgt for _, tgt in PAIRS]


@given(st.lists(st.integers(0, 10**7) | st.sampled_from(LENGTH_BOUNDS)))
def test_lengths_are_summed_up_as_they_are_and_quantiles_to_three_digits(values: list[int]) -> None:
    lengths = Lengths()
    for part in (values[::2], values[1::2]):
        lengths.add(np.array(part, dtype=np.int64))
    bins = Counter(bisect_right(LENGTH_BOUNDS, value) for value in values)
    assert lengths.histogram() == [bins[place] for place in range(len(LENGTH_BOUNDS) + 1)]
    found = lengths.summary()
    assert found["longest"] == max(values, default=0)
    assert found["mean"] == (round(sum(values) / len(values), 1) if values else 0)
    for name, percent in (("median", 50), ("p99", 99)):
        exact = sorted(values)[max(0, -(-percent * len(values) // 100) - 1)] if values else 0
        assert exact * 0.989 <= found[name] <= exact


def test_a_bin_that_has_anything_is_seen() -> None:
    assert drawn([0, 1, 500, 1000]) == " ▁▄█" and drawn([]) == "" and drawn([0]) == " "


def test_what_would_be_dropped_is_what_a_training_drops(tmp_path: Path) -> None:
    src = ["ein Haus", "ein Haus", "", "zu lang " * 200, "kurz", " ja ", "ein Haus", "ein Haus "]
    tgt = ["a house", "a house", "empty", "too long", "longer than " * 4, "yes", "one house", "a house"]
    # at the limits, beyond one and beyond both; what is empty, twice; and a third target
    src += ["a" * 9, "s" * 1000, "s" * 1001, "s" * 1001, " ", " ", "ein Haus"]
    tgt += ["b", "t" * 999, "t" * 999, "t", "", "", "the house"]
    (found,) = check(*write(tmp_path, src, tgt))["sources"]
    filters = Filters(max_chars=1000, max_ratio=9.0, drop_duplicates=True)
    rules = SourceRules(folder=tmp_path, hub={}, src_lang="de", tgt_lang="en")
    corpus = open_corpus(["text"], rules, filters=filters)
    assert found["dropped"] == corpus.dropped and found["kept"] == len(corpus.pairs)
    assert found["lines"] == 15 and found["duplicates"] == 1 and found["many_targets"] == 2


@pytest.mark.parametrize(
    ("src", "tgt", "name"),
    [
        ("Siehe Seite 12.", "See page 13.", "numbers"),
        ("Fehler in %s", "Error", "placeholders"),
        ("Das ist derselbe Satz.", "Das ist derselbe Satz.", "identical sides"),
        ("Мальчик играет", "A boy plays", "wrong script"),
        ("Ja.", "There is far more on this side than there can ever be.", "length ratio"),
        ("DAS IST EIN HAUS", "This is a house", "one side in capitals"),
        ("...", "And so on", "one side without letters"),
        ("Die TÃ¼r", "The door", "broken encoding (Ã¼)"),
        ("Die StraÃ\u009fe", "The street", "broken encoding (Ã¼)"),
        ("Er sagt: â€œJa", "He says yes", "broken encoding (Ã¼)"),
        ("ï»¿Die Tür", "The door", "broken encoding (Ã¼)"),
        ("Die T\ufffdr", "The door", "replacement character U+FFFD"),
        ("Die\x07 Tür", "The door", "control characters"),
        ("Die\x92 Tür", "The door", "control characters"),
        ("Die\u2028 Tür", "The door", "control characters"),
        ("Die \ue001Tür", "The door", "private-use characters"),
        ("Die T\u200bür", "The door", "zero-width characters"),
    ],
)
def test_a_suspicion_on_either_side_stands_with_its_line(tmp_path: Path, src: str, tgt: str, name: str) -> None:
    (found,) = check(*write(tmp_path, ["Ein Hund", src, tgt], ["A dog", tgt, src]))["sources"]
    path = tmp_path / "text.de"
    assert found["problems"].get(name) == 2
    both = [
        {"where": f"{path}:2", "src": src, "tgt": tgt, "fault": ""},
        {"where": f"{path}:3", "src": tgt, "tgt": src, "fault": ""},
    ]
    assert found["examples"][name] == both[: len({src, tgt})]  # a pair that comes again tells nothing new


def test_good_text_in_any_script_is_not_suspected(tmp_path: Path) -> None:
    good = [("Größe: 12 %", "Size: 12 %"), ("Ein Mann 👩‍👩‍👧 läuft.", "A man 👩‍👩‍👧 runs."), ("Hund", "Dog")]
    good += [("Der Ausschuss", "NATO"), ("nato", "NATO")]
    (found,) = check(*write(tmp_path, *zip(*good, strict=True)))["sources"]
    assert found["problems"] == {}
    arabic = write(tmp_path, ["كلب كبير \u200fيلعب في الحديقة"], ["A big dog plays in the park"])
    (found,) = check(*arabic, "--src-lang", "ar", "--tgt-lang", "en")["sources"]
    assert found["problems"] == {}
    caseless = write(
        tmp_path, ["スキャニングモード付き設定可能スクリーン (GTK)"], ["A configurable screen with a mode (GTK)"]
    )
    (found,) = check(*caseless, "--src-lang", "ja", "--tgt-lang", "en")["sources"]
    assert found["problems"] == {}


LATIN = "Die Tür\n".encode("latin-1")


@pytest.mark.parametrize(
    ("src", "tgt", "said"),
    [
        (b"a b\nc d\ne f\n", b"a b\nc d\n", "has 3 lines, but"),
        (b"Ein Hund\n" + LATIN, b"A dog\nThe door\n", "text.de:2:6"),
        ("Das Öl\n".encode() + LATIN, b"The oil\nThe door\n", "Latin-1"),
        ("Ein Hund\n".encode("utf-16"), b"A dog\n", "UTF-16"),
        (gzip.compress(b"Ein Hund\n" * 50, mtime=0)[:-9], b"A dog\n", "breaks off"),
        (b"", b"", "holds no lines"),
        (b"\n\n", b"\n\n", "no training pair is left"),
    ],
)
def test_what_would_stop_a_training_is_said_and_counts(tmp_path: Path, src: bytes, tgt: bytes, said: str) -> None:
    found = check(*write(tmp_path, src, tgt), code=1)
    assert any(said in failure for failure in found["failures"]), found["failures"]


HALF, WHOLE = "Ein Hund \\ud800", "Ein \\ud83d\\ude00 \\ufffd"


def test_half_of_a_surrogate_pair_stops_a_training_and_is_told_by_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "text.jsonl"
    rows = [
        (WHOLE, "A dog"),
        (HALF, "A dog"),
        ("Hund", HALF.replace("ud8", "uDC")),
        ("\\\\ud800 \ufffd", "It"),
        (HALF, ""),
        (HALF, "A dog"),
    ]
    lines = [f'{{"de": "{src}", "en": "{tgt}"}}\n' for src, tgt in rows]
    lines[0] = lines[0].replace("}", f', "note": "{HALF}"}}')  # which no training reads
    path.write_text("".join(lines) + f'{{"de": "{HALF}"}}\n', encoding="utf-8")
    options = ("--src-lang", "de", "--tgt-lang", "en", "--examples")
    found = check(path, *options, 3, code=1)
    (failure,) = found["failures"]
    assert failure.startswith(f"{path}: 5 lines have half of a surrogate pair")
    assert f"first at {path}:2, {path}:3, {path}:5; mend them" in failure
    assert found["sources"][0]["half_pairs"] == 5
    assert f"first at {path}:2;" in check(path, *options, 0, code=1)["failures"][0]
    path.write_text(lines[0] + lines[3], encoding="utf-8")
    found = check(path, *options, 3)
    assert (found["sources"][0]["half_pairs"], found["failures"]) == (0, [])


def test_odd_bytes_that_are_text_stop_nothing(tmp_path: Path) -> None:
    odd = "\ufeffEin Hund\r\nEine\u2028Katze\x00\r\nein\x0cHaus \x85 da\nein \ralter Mann".encode()
    found = check(*write(tmp_path, odd, b"A dog\nA cat\na house there\nan old man"))
    assert found["sources"][0]["lines"] == 4 and found["failures"] == []


def test_odd_columns_are_counted_and_bad_json_is_told(tmp_path: Path) -> None:
    tsv, jsonl = tmp_path / "text.tsv", tmp_path / "text.jsonl"
    tsv.write_text("Ein Hund\tA dog\nnur eine\na\tb\tc\n", encoding="utf-8")
    languages = ("--src-lang", "de", "--tgt-lang", "en")
    (found,) = check(tsv, *languages)["sources"]
    assert (found["lines"], found["kept"], found["dropped"]["columns"]) == (3, 1, 2)
    shown = [f"{row['where']} {row['fault']}" for row in found["examples"]["no pair in this row"]]
    assert shown == [f"{tsv}:{place} tab-separated columns, but 2 are wanted" for place in ("2 1", "3 3")]
    jsonl.write_text('{"de": "Ein Hund", "en": "A dog"}\n{"de": \n', encoding="utf-8")
    assert "text.jsonl:2: not JSON" in check(tsv, jsonl, *languages, code=1)["failures"][0]


def test_pipes_are_read_once(tmp_path: Path) -> None:
    pipes = [tmp_path / "pipe.de", tmp_path / "pipe.en"]
    for pipe, text in zip(pipes, (b"Ein Hund\n", b"A dog\n"), strict=True):
        os.mkfifo(pipe)
        threading.Thread(target=pipe.write_bytes, args=(text,), daemon=True).start()
    assert check(*pipes)["sources"][0]["lines"] == 1


def test_the_same_is_found_each_time_and_shown_in_aligned_columns(tmp_path: Path) -> None:
    files = write(tmp_path, *(side[:300] for side in sides()))
    assert check(*files) == check(*files)
    shown = nmt("data", "check", *files)
    assert shown.code == 0 and "nothing" in shown.lines[-1] and "text.de + text.en" in shown.text


def _few(folder: Path) -> Path:
    return write_recipe(folder, PAIRS[:3])


def _shared(folder: Path) -> Path:
    return write_recipe(folder, PAIRS[:300], PAIRS[:7], PAIRS[400:420])


def _empty_valid(folder: Path) -> Path:
    recipe = write_recipe(folder, PAIRS[:300])
    for lang in ("de", "en"):
        (folder / f"valid.{lang}").write_bytes(b"")
    return recipe


def _lost_test(folder: Path) -> Path:
    recipe = write_recipe(folder, PAIRS[:300])
    (folder / "test.de").unlink()
    return recipe


@pytest.mark.parametrize(
    ("make", "code", "said"),
    [
        (_few, 0, "the training text gives"),
        (_shared, 0, "valid: 7 of its source sentences are in the training text too"),
        (_empty_valid, 1, "valid.de + "),
        (_lost_test, 1, "test: only"),
    ],
)
def test_a_recipe_is_read_as_a_training_reads_it(
    tmp_path: Path, make: Callable[[Path], Path], code: int, said: str
) -> None:
    kind = ("--set", "tokenizer.kind=unigram", "--set", "tokenizer.vocab_size=5000")
    found = check(make(tmp_path), *kind, code=code)
    assert any(said in text for text in found["failures" if code else "warnings"]), found


@pytest.mark.parametrize("pairs", [3, 300])
def test_a_vocabulary_without_room_for_the_characters_is_a_failure(tmp_path: Path, pairs: int) -> None:
    found = check(write_recipe(tmp_path, PAIRS[:pairs]), "--set", "tokenizer.vocab_size=20", code=1)
    assert "tokenizer.vocab_size is 20" in found["failures"][0]


def test_files_without_languages_and_options_that_do_not_fit_are_usage_errors(tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path, PAIRS[:5])
    for args, said in [
        ((tmp_path / "x.jsonl",), "--src-lang"),
        (("a.de", "b.de"), "both sides would be de"),
        (("a.de", "a.en", "--set", "data.max_chars=9"), "--set goes with a recipe"),
        ((recipe, "--src-lang", "de"), "--src-lang goes with FILES"),
        ((recipe, "--tsv-columns", "de,en"), "--tsv-columns goes with FILES"),
        (("a", "b", "c", "--src-lang", "de", "--tgt-lang", "en"), "two files"),
    ]:
        result = nmt("data", "check", *args)
        assert result.code == 2 and said in result.err

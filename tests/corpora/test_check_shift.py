import random
import string
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from test_check import LOOKING, check, sides, write

from nmt.corpora import table
from nmt.corpora.check_shift import find_shifts
from nmt.corpora.check_text import measure


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NMT_CACHE", str(tmp_path / "cache"))


def shifts(src: Sequence[str], tgt: Sequence[str], *, batch: int) -> list[tuple[int, int, int]]:
    measured = measure(list(src), list(tgt), [""] * len(src), looking=LOOKING)
    columns = {name: np.array(column) for name, column in measured.items()}
    batches = [
        {name: column[begin : begin + batch] for name, column in columns.items()} for begin in range(0, len(src), batch)
    ]
    return [(found.first, found.last, found.offset) for found in find_shifts(batches, usual=0.0)]


@pytest.mark.parametrize("offset", [1, 2, 3])
@pytest.mark.parametrize("batch", [150, 5000])
def test_a_lost_line_is_found_where_it_was_lost(offset: int, batch: int) -> None:
    src, tgt = sides()
    ((first, last, found),) = shifts(src, tgt[:999] + tgt[999 + offset :] + ["A man."] * offset, batch=batch)
    assert (found, last) == (-offset, len(src)) and abs(first - 1000) <= 3 + offset


@pytest.mark.parametrize("offset", [1, 2, 3])
def test_a_line_that_came_in_and_one_that_was_lost_later_bound_the_stretch(offset: int) -> None:
    src, tgt = sides()
    ((first, last, found),) = shifts(
        src, tgt[:499] + ["A man."] * offset + tgt[499:799] + tgt[799 + offset :], batch=300
    )
    assert found == offset and abs(first - 500) <= 6 and abs(last - 799) <= 6


@pytest.mark.parametrize("batch", [1, 5, 100, 5000])
def test_sound_text_is_not_shifted(batch: int) -> None:
    assert shifts(*sides(), batch=batch) == []
    assert shifts([], [], batch=batch) == []
    assert shifts(["Ja."] * 500, ["Yes."] * 500, batch=batch) == []


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_sides_of_other_lengths_are_compared_by_what_is_usual_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ratio: float
) -> None:
    monkeypatch.setattr(table, "_BATCH_PAIRS", 64)
    lengths = random.Random(1).choices(range(8, 160, 2), k=300)
    src, tgt = ["a" * length for length in lengths], ["b" * int(length * ratio) for length in lengths]
    (sound,) = check(*write(tmp_path, src, tgt))["sources"]
    (lost,) = check(*write(tmp_path, src, [*tgt[:99], *tgt[100:], "b"]))["sources"]
    assert (sound["median_ratio"], sound["shifts"]) == (pytest.approx(ratio, 0.05), [])
    (stretch,) = lost["shifts"]
    assert (stretch["last"], stretch["offset"]) == (300, -1) and abs(stretch["first"] - 100) <= 4


def test_a_shift_may_begin_with_the_first_line_and_another_may_follow() -> None:
    src, tgt = sides()
    assert shifts(src[:200], [*tgt[1:200], "A man."], batch=200) == [(2, 200, -1)]
    twice = [*tgt[:100], "A man.", *tgt[100:249], *tgt[250:310], "A dog.", *tgt[310:459], *tgt[460:700]]
    assert [(first // 10, last // 10) for first, last, _ in shifts(src[:700], twice, batch=700)] == [(10, 24), (31, 45)]


@pytest.mark.parametrize(("evidence", "lines"), [("numbers", 140), ("ends", 300), ("numbers in long lines", 140)])
def test_numbers_and_ends_each_tell_a_shift_by_themselves(evidence: str, lines: int) -> None:
    chance = random.Random(1)
    ends = chance.choices(".?!:", k=300)
    numbers = [" ".join(map(str, chance.choices(range(10**5, 10**6), k=8))) for _ in range(300)]

    def long() -> list[str]:
        words = ["".join(chance.choices(string.ascii_lowercase, k=6)) for _ in range(40 * len(numbers))]
        return [" ".join([*words[40 * place :][:40], number]) for place, number in enumerate(numbers)]

    src, tgt = {
        "numbers": ([f"Zeile {number:03}" for number in range(300)], [f"A row {number:03}" for number in range(300)]),
        "numbers in long lines": (long(), long()),
        "ends": ([f"aaaa{end}" for end in ends], [f"bbbb{end}" for end in ends]),
    }[evidence]
    assert shifts(src, tgt, batch=300) == []
    ((first, last, found),) = shifts(src[:lines], [*tgt[:100], *tgt[101:lines], "b"], batch=300)
    assert found == -1 and abs(first - 101) <= 2 and abs(last - lines) <= 1


def test_sides_that_have_nothing_to_do_with_each_other_are_seldom_taken_for_shifted() -> None:
    src, tgt = (side[:1000] for side in sides())
    mixed = [random.Random(seed).sample(tgt, len(tgt)) for seed in range(3)]
    assert sum(len(shifts(src, other, batch=1000)) for other in mixed) <= 1


@pytest.mark.parametrize(("lines", "found"), [(18, 0), (26, 1)])
def test_a_few_lines_in_another_order_are_no_shift(lines: int, found: int) -> None:
    src, tgt = sides()
    moved = [*tgt[:100], "A man.", *tgt[100 : 99 + lines], *tgt[100 + lines : 400]]
    assert len(shifts(src[:400], moved, batch=400)) == found


def test_what_both_sides_share_is_seen_whatever_their_script_and_case() -> None:
    src, tgt = ["Größe 12 。", "Kaffee？"], ["GRÖSSE, 12.", "kaffées?"]
    columns = measure(src, tgt, ["", ""], looking=LOOKING)
    for src_name in columns:
        if src_name.startswith(("src_sketch", "src_end")):
            assert list(columns[src_name]) == list(columns[src_name.replace("src", "tgt")])
    assert len({int(word) for name in columns if "sketch" in name for word in columns[name]}) > 2


def test_a_shift_is_a_warning_with_its_line(tmp_path: Path) -> None:
    src, tgt = sides()
    found = check(*write(tmp_path, src, [*tgt[:999], *tgt[1000:], "A man."]))
    # line 1000 itself fits its neighbour no better than its partner
    (warning,) = [text for text in found["warnings"] if "shifted" in text]
    assert "shifted from line 1001 to line 2000" in warning and "line N of the source fits line N-1" in warning
    (stretch,) = found["sources"][0]["shifts"]
    assert (stretch["first"], stretch["last"], stretch["offset"]) == (1001, 2000, -1)

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_run import Result, nmt

from nmt.corpora import table
from nmt.corpora.rules import twin_key

Pair = tuple[str, str]
Parts = dict[str, list[Pair]]

# few different keys, with twins of each on both sides
SIDE = st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from(["", "!", " .", "?"])).map("".join)
PAIRS = st.lists(st.tuples(SIDE, SIDE), min_size=1, max_size=40)
OPTIONS = st.lists(st.sampled_from(["--source-only", "--all-per-key"]), unique=True)
NAMES = ("train", "valid", "test")


def write(folder: Path, pairs: list[Pair], name: str = "in") -> Path:
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}.tsv"
    path.write_text("".join(f"{src}\t{tgt}\n" for src, tgt in pairs), encoding="utf-8")
    return path


def run(*args: object) -> Result:
    return nmt("data", "split", *args, "--src-lang", "de", "--tgt-lang", "en")


def split(folder: Path, pairs: list[Pair], *args: object, name: str = "in") -> Parts:
    result = run(write(folder, pairs, name), "-o", folder / "out", *args)
    assert result.code == 0, result.err
    return parts(folder / "out", name)


def parts(folder: Path, name: str = "in") -> Parts:
    found = {}
    for part in NAMES:
        lines = (folder / f"{name}.{part}.tsv").read_text(encoding="utf-8").split("\n")[:-1]
        found[part] = [(src, tgt) for src, tgt in (line.split("\t") for line in lines)]
    return found


def keys(pairs: list[Pair], side: int = 0) -> set[str]:
    return {twin_key(pair[side]) for pair in pairs}


def many(count: int) -> list[Pair]:
    return [(f"Satz {word}", f"sentence {word}") for word in _words(count)]


def _words(count: int) -> list[str]:
    return ["".join(chr(97 + (number // 26**place) % 26) for place in range(4)) for number in range(count)]


@settings(max_examples=12, deadline=None)
@given(pairs=PAIRS, options=OPTIONS, seed=st.integers(0, 3))
def test_parts_share_no_key_and_make_up_all_but_what_was_counted(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair], options: list[str], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("split")
    found = split(folder, pairs, "--valid", 0.2, "--test", 0.3, "--seed", seed, *options)
    train, valid, test = (keys(found[part]) for part in NAMES)
    assert not train & valid and not train & test and not valid & test
    together = Counter(pair for part in NAMES for pair in found[part])
    left = Counter(pairs) - together
    assert together <= Counter(pairs)
    held = found["valid"] + found["test"]
    if "--all-per-key" in options:
        assert keys(list(left)) <= train | keys(pairs) - valid - test
    else:
        assert len(held) == len(keys(held))
    if "--source-only" not in options:
        assert not keys(found["train"], 1) & keys(held, 1)
    for src, tgt in left:
        of_held_source = twin_key(src) in valid | test and "--all-per-key" not in options
        of_held_target = twin_key(tgt) in keys(held, 1) and "--source-only" not in options
        assert of_held_source or of_held_target


@settings(max_examples=8, deadline=None)
@given(data=st.data(), pairs=PAIRS)
def test_the_order_of_the_lines_does_not_matter(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, pairs: list[Pair]
) -> None:
    folder = tmp_path_factory.mktemp("split")
    other = data.draw(st.permutations(pairs))
    one, two = (split(folder, order, "--valid", 0.2, "--test", 0.3) for order in (pairs, other))
    assert {part: sorted(one[part]) for part in NAMES} == {part: sorted(two[part]) for part in NAMES}
    assert one["train"] == [pair for pair in pairs if pair in set(one["train"])]  # each part is in its own order


@settings(max_examples=8, deadline=None)
@given(pairs=PAIRS, more=PAIRS)
def test_what_was_held_out_once_is_never_trained_on_when_the_corpus_grows(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[Pair], more: list[Pair]
) -> None:
    folder = tmp_path_factory.mktemp("split")
    before = split(folder, pairs, "--valid", 0.2, "--test", 0.3)
    after = split(folder, more + pairs, "--like", folder / "out" / "split.json")
    for part in ("valid", "test"):
        assert keys(before[part]) <= keys(after[part])
    assert keys(before["train"]).isdisjoint(keys(after["valid"]) | keys(after["test"]))


def test_a_cut_of_another_seed_is_made_again_as_it_was(tmp_path: Path) -> None:
    before = split(tmp_path, many(200), "--seed", 7, "--valid", 10, "--test", 20)
    assert split(tmp_path, many(200), "--like", tmp_path / "out" / "split.json") == before


def test_so_many_are_held_out_as_are_asked_for(tmp_path: Path) -> None:
    pairs = many(2000)
    found = split(tmp_path, pairs + pairs[:50], "--valid", 30, "--test", 70)
    assert [len(found[part]) for part in ("valid", "test")] == [30, 70]
    for share in ("0.1", "10%"):
        found = split(tmp_path, pairs, "--valid", 0, "--test", share)
        assert found["valid"] == []
        assert 160 < len(found["test"]) < 240
    assert split(tmp_path, pairs, "--test", share, "--seed", 2)["test"] != found["test"]


def test_twins_go_to_one_part_whichever_source_they_come_from(tmp_path: Path) -> None:
    first = [(src, tgt) for src, tgt in many(300)]
    second = [(f"{src}!", f"other {tgt}") for src, tgt in first]
    paths = [write(tmp_path, first, "one"), write(tmp_path, second, "two")]
    result = run(*paths, "-o", tmp_path / "out", "--valid", 20, "--test", 20)
    one, two = (parts(tmp_path / "out", name) for name in ("one", "two"))
    for held in ("valid", "test"):
        assert len(one[held]) + len(two[held]) == 20
        assert not keys(one[held]) & keys(two[held])
        assert not (keys(one["train"]) | keys(two["train"])) & (keys(one[held]) | keys(two[held]))
    assert "left out: 40 (held out once already)" in result.text
    assert result.lines[1].split() == ["one", *(str(len(one[part])) for part in NAMES)]


def test_a_target_like_a_held_out_one_is_trained_on_only_where_the_source_alone_counts(tmp_path: Path) -> None:
    pairs = [(src, "same target") for src, _ in many(200)]
    found = split(tmp_path, pairs, "--test", 20, "--valid", 0, "--source-only")
    assert (len(found["train"]), len(found["test"])) == (180, 20)
    assert split(tmp_path, pairs, "--test", 20, "--valid", 0)["train"] == []


def test_what_is_left_out_is_counted_under_its_own_reason(tmp_path: Path) -> None:
    pairs = [("", "no source"), *many(100), *((f"{src}!", tgt) for src, tgt in many(100))]
    pairs += [(f"another {src}", tgt) for src, tgt in many(100)]
    result = run(write(tmp_path, pairs), "-o", tmp_path / "out", "--test", 10, "--valid", 0)
    found = parts(tmp_path / "out")
    left = [line for line in result.lines if line.startswith("left out")]
    counts = [int(line.split()[2]) for line in left]
    reasons = ["no pair", "twin of a held-out target", "held out once already"]
    assert left == [f"left out: {count} ({reason})" for count, reason in zip(counts, reasons, strict=True)]
    assert counts[0] == 1
    assert sum(counts) + sum(map(len, found.values())) == len(pairs)


def test_records_go_out_as_they_came_in_and_rows_without_a_pair_are_counted(tmp_path: Path) -> None:
    rows = [json.dumps({"source": "x", "en": tgt, "de": src, "id": 3}) for src, tgt in many(50)]
    (tmp_path / "in.jsonl").write_text("".join(f"{row}\n" for row in [*rows, "{}", '{"de": " ", "en": "a"}']))
    result = run(tmp_path / "in.jsonl", "-o", tmp_path / "out", "--valid", 5, "--test", 5)
    found = [(tmp_path / "out" / f"in.{part}.jsonl").read_text().split("\n")[:-1] for part in NAMES]
    assert sorted(row for rows_of_part in found for row in rows_of_part) == sorted(rows)
    assert "left out: 2 (no pair)" in result.text
    for lang, side in zip(("de", "en"), zip(*many(50), strict=True), strict=True):
        (tmp_path / f"in.{lang}").write_text("".join(f"{line}\n" for line in side))
    assert run(tmp_path / "in", "-o", tmp_path / "out", "--valid", 5, "--test", 5).code == 0
    lines = [(tmp_path / "out" / f"in.test.{lang}").read_text().split("\n")[:-1] for lang in ("de", "en")]
    assert sorted(zip(*lines, strict=True)) == sorted((r["de"], r["en"]) for r in map(json.loads, found[2]))


def test_the_bytes_do_not_depend_on_the_number_of_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table, "PAIRS_ALONE", 10)
    found = []
    for workers in (1, 2):
        split(tmp_path, many(300), "--workers", workers, "--valid", 20, "--test", 0.1)
        found.append({path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()})
    assert found[0] == found[1]
    assert len(found[0]) == 4


def test_where_it_is_cut_stays_from_version_to_version(tmp_path: Path) -> None:
    """Who changes this has to raise `split.VERSION`: pairs of old test sets would get into training."""
    held = split(tmp_path, many(20), "--valid", 2, "--test", 2)["test"]
    cut = json.loads((tmp_path / "out" / "split.json").read_text())
    assert (cut["version"], cut["seed"], cut["valid"], cut["test"]) == (1, 1, 18245123380236270534, 3865475671726581401)
    twins = [(held[0][0], f"sentence {word}") for word in _words(9)]
    found = split(tmp_path, twins, "--like", tmp_path / "out" / "split.json")["test"]
    assert found == [("Satz gaaa", "sentence faaa")]


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (
            ["--valid", 1, "--test", 51],
            1,
            "in.tsv: has 50 different sources, and 51 are wanted for test; ask for fewer",
        ),
        (["--test", 30, "--valid", 30], 1, "in.tsv: the held-out sets would take all pairs"),
        (["--test", "0.6", "--valid", "0.5"], 1, "the held-out sets would take all pairs"),
        (["--test", "many"], 2, "'many' is no size; wanted is a number"),
        (["--test", "1.5"], 2, "'1.5' is no size"),
        (["--test", "-3"], 2, "'-3' is no size"),
        (["--test", "nan"], 2, "'nan' is no size"),
        (["--like", "none.json"], 1, "none.json: there is no such file"),
        (["--like", "in.tsv"], 1, "in.tsv: holds no cut"),
        (["--like", "bad.json"], 1, "bad.json: holds no sound cut"),
        (["--like", "new.json"], 1, "new.json: a cut of version 9, and this program's are of version 1"),
        (["--like", "new.json", "--seed", 3, "--source-only"], 2, "leave out --seed, --both-sides"),
    ],
)
def test_what_cannot_be_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: list[object], code: int, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path, many(50))
    cut = {"seed": 1, "valid": 1 << 64, "test": 5, "both_sides": True, "one_per_key": True, "version": 9}
    Path("new.json").write_text(json.dumps(cut))
    Path("bad.json").write_text(json.dumps({**cut, "test": "5"}))
    result = run("in.tsv", "-o", "out", *args)
    assert result.code == code
    assert said in result.err
    assert not Path("out").exists()


def test_two_sources_of_one_name_are_refused(tmp_path: Path) -> None:
    paths = [write(tmp_path / name, many(5)) for name in ("a", "b")]
    assert "two sources would both be written to" in run(*paths, "-o", tmp_path / "out").err

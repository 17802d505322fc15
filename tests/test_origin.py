"""A part that was interrupted: the same work on the same lines goes on with it, and no other."""

import shutil
from pathlib import Path

import pytest
from toy_part import interrupted
from toy_run import TinyRun, nmt

from nmt.errors import DataError
from nmt.origin import Origin, differences, origin_of
from nmt.passages import Request
from nmt.run_dir import load_model, save_model

DONE = 5


@pytest.fixture
def source(tiny: TinyRun, tmp_path: Path) -> Path:
    path = tmp_path / "in.de"
    path.write_text("".join(f"{line}\n" for line in tiny.sources[:12]), encoding="utf-8")
    return path


@pytest.fixture
def part(tiny: TinyRun, source: Path, tmp_path: Path) -> Path:
    """What `nmt translate RUN in.de -o out.en` left that was interrupted after DONE lines."""
    interrupted(tiny.run, source, "-o", tmp_path / "out.en", at=DONE)
    return tmp_path / "out.en.part"


def assert_refused(part: Path, words: str, *command: object) -> None:
    """--resume leaves with 1 and these words, and what was there is unharmed."""
    kept = {path: path.read_bytes() for path in (part, origin_of(part))}
    result = nmt("translate", *command, "-o", part.with_suffix(""), "--resume")
    assert result.code == 1
    assert words in result.err
    assert {path: path.read_bytes() for path in kept} == kept


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--beam-size", "2"], "search.beam_size 3 before, 2 now; give the command of before, or leave out --resume"),
        (["--min-length", "3"], "search.min_length 0 before, 3 now;"),
        (["--engine", "exact"], "engine fast before, exact now;"),
        (["--json"], "form text before, json now;"),
        (["--json", "--n-best", "2"], "form text before, json now; n best 1 before, 2 now;"),
        (["--ensemble", "RUN"], "something else: another model 2;"),
        (["--glossary", "TERMS"], "something else: another glossary;"),
        (["--keep", "Max"], "something else: keep [] before, ['Max'] now;"),
    ],
)
def test_other_options_are_refused_by_name(
    tiny: TinyRun, source: Path, part: Path, tmp_path: Path, options: list[str], words: str
) -> None:
    (tmp_path / "terms").write_text("kommt\tcomes\n")
    names = {"RUN": tiny.run, "TERMS": tmp_path / "terms"}
    assert_refused(part, words, tiny.run, source, *(names.get(word, word) for word in options))


def test_two_patterns_are_not_one(tiny: TinyRun, source: Path, tmp_path: Path) -> None:
    interrupted(tiny.run, source, "-o", tmp_path / "out.en", "--keep", "a b", at=DONE)
    part = tmp_path / "out.en.part"
    assert_refused(part, "keep ['a b'] before, ['a', 'b'] now;", tiny.run, source, "--keep", "a", "--keep", "b")


def test_another_model_is_refused_and_the_same_elsewhere_goes_on(
    tiny: TinyRun, source: Path, part: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(tiny.run, tmp_path / "other"))
    weights = load_model(other).model.weights()
    save_model(other, {name: tensor * 1.001 for name, tensor in weights.items()})
    assert_refused(part, "something else: another model 1;", other, source)
    same = shutil.copytree(tiny.run, tmp_path / "same")
    assert nmt("translate", same, source, "-o", tmp_path / "out.en", "--resume").code == 0


@pytest.mark.parametrize("options", [["--batch-size", "2"], ["--workers", "2"], ["--threads", "1"]])
def test_what_does_not_change_a_translation_may_change(
    tiny: TinyRun, source: Path, part: Path, tmp_path: Path, options: list[str]
) -> None:
    result = nmt("translate", tiny.run, source, "-o", tmp_path / "out.en", "--resume", *options)
    assert result.code == 0, result.err
    assert (tmp_path / "out.en").read_bytes() == nmt("translate", tiny.run, source).out
    assert not part.exists()
    assert not origin_of(part).exists()


@pytest.mark.parametrize("line", range(DONE))
def test_another_line_among_those_done_is_refused_by_its_number(
    tiny: TinyRun, source: Path, part: Path, line: int
) -> None:
    lines = source.read_text(encoding="utf-8").split("\n")
    lines[line] += "!"
    source.write_text("\n".join(lines), encoding="utf-8")
    assert_refused(part, f"--resume: line {line + 1} is not the one that {part} has", tiny.run, source)


def test_lines_after_those_done_may_have_been_mended(tiny: TinyRun, source: Path, part: Path, tmp_path: Path) -> None:
    lines = source.read_text(encoding="utf-8").split("\n")
    lines[DONE] += "!"
    source.write_text("\n".join(lines), encoding="utf-8")
    assert nmt("translate", tiny.run, source, "-o", part.with_suffix(""), "--resume").code == 0
    assert (tmp_path / "out.en").read_bytes() == nmt("translate", tiny.run, source).out


def test_another_prefix_of_a_line_that_is_done_is_refused(tiny: TinyRun, source: Path, tmp_path: Path) -> None:
    prefixes = tmp_path / "prefixes"
    prefixes.write_text("\n" * 12)
    interrupted(tiny.run, source, "-o", tmp_path / "out.en", "--prefixes", prefixes, at=3)
    prefixes.write_text("\nHe\n" + "\n" * 10)
    assert_refused(
        tmp_path / "out.en.part", "line 2 is not the one that", tiny.run, source, "--prefixes", str(prefixes)
    )


def test_a_part_of_which_nobody_knows_what_it_is_is_refused(tiny: TinyRun, source: Path, part: Path) -> None:
    for content in (b"", b"{", b"[1]\n", b"\xff\n"):
        origin_of(part).write_bytes(content)
        assert_refused(part, "out.en.part.of, which says of what out.en.part is the translation, is", tiny.run, source)
    origin_of(part).unlink()
    result = nmt("translate", tiny.run, source, "-o", part.with_suffix(""), "--resume")
    assert (result.code, "is missing or damaged; leave out --resume to begin anew" in result.err) == (1, True)


@pytest.mark.parametrize("lost", [1, 17, 18, 40])
def test_lines_of_a_part_whose_source_is_not_known_are_done_again(
    tiny: TinyRun, source: Path, part: Path, tmp_path: Path, lost: int
) -> None:
    """As a crash of the machine may leave it."""
    content = origin_of(part).read_bytes()
    origin_of(part).write_bytes(content[:-lost])
    lines = part.read_text(encoding="utf-8").splitlines()
    part.write_text("".join(f"before: {line}\n" for line in lines), encoding="utf-8")
    assert nmt("translate", tiny.run, source, "-o", tmp_path / "out.en", "--resume").code == 0
    known = DONE + (-lost // 17)
    wanted = nmt("translate", tiny.run, source).lines
    found = (tmp_path / "out.en").read_text(encoding="utf-8").splitlines()
    assert found == [*(f"before: {line}" for line in lines[:known]), *wanted[known:]]


def test_a_part_that_lost_lines_goes_on_and_can_be_interrupted_again(
    tiny: TinyRun, source: Path, part: Path, tmp_path: Path
) -> None:
    part.write_bytes(b"".join(part.read_bytes().splitlines(keepends=True)[:2]))
    interrupted(tiny.run, source, "-o", tmp_path / "out.en", "--resume", at=3)
    assert part.read_bytes().count(b"\n") == 3
    assert origin_of(part).read_bytes().count(b"\n") == 1 + 3
    assert nmt("translate", tiny.run, source, "-o", tmp_path / "out.en", "--resume").code == 0
    assert (tmp_path / "out.en").read_bytes() == nmt("translate", tiny.run, source).out


def test_a_line_and_its_prefix_are_told_apart() -> None:
    origin = Origin({})
    fields = [
        origin.of([request]) for request in (Request("a", 0, "b"), Request("ab"), Request("a"), Request("", 0, "a"))
    ]
    assert len({one["text"] for one in fields}) == 4
    assert origin.of([Request("a"), Request("b")]) != origin.of([Request("b"), Request("a")])


def test_each_line_is_on_the_disk_as_soon_as_it_is_done(tmp_path: Path) -> None:
    part, origin = tmp_path / "x.part", Origin({"engine": "fast"})
    with origin.kept(part, 0):
        for count in range(1, 4):
            origin.add(Request(f"line {count}"))
            assert Origin({"engine": "fast"}).known(part) == count
    with pytest.raises(DataError, match="engine fast before, exact now"):
        Origin({"engine": "exact"}).known(part)


def test_differences_name_what_is_there_only_once_or_too_long_to_tell() -> None:
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 2}) == ""
    assert differences({"a": 1, "x": "0" * 64}, {"b": 2.5, "x": "1" * 64}) == (
        "a 1 before, none now; another x; b none before, 2.5 now"
    )

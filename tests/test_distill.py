"""Distillation: the pairs that a teacher makes of a text, and what an interruption leaves."""

import errno
import io
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from toy_ensemble import sibling, with_recipe
from toy_run import TinyRun, nmt, read, write_pairs

from nmt.data.lines import read_lines
from nmt.distill import Distilled, distill, system_of
from nmt.errors import DataError, Interrupted, OutputError
from nmt.loading import load_ensemble
from nmt.recipe import DataSection
from nmt.run_dir import load_stored_recipe
from nmt.train.prepare import open_corpora
from nmt.translator import Translator

DATA = DataSection(src_lang="de", tgt_lang="en", train=("train",), valid=("valid",))
SYSTEM = "5ea1"
Pairs = list[tuple[str, str]]


def pairs_of(out: Path) -> Pairs:
    """The two files of an output, line by line; they must have equally many lines."""
    return list(zip(read_lines(f"{out}.de"), read_lines(f"{out}.en"), strict=True))


def run(
    translator: Translator, lines: Iterable[str], out: Path, *, resume: bool = False, system: str = SYSTEM
) -> Distilled:
    return distill(translator, lines, out, data=DATA, system=system, console=Console(file=io.StringIO()), resume=resume)


def limited(translator: Translator, **search: object) -> Translator:
    return Translator(translator.model, translator.tokenizers, translator.search.model_copy(update=search))


class Untouched(Translator):
    """Translates nothing."""

    def translations(self, *args: object, **options: object) -> Iterator[Any]:
        raise AssertionError("translated")


def untouched(translator: Translator) -> Untouched:
    return Untouched(translator.model, translator.tokenizers, translator.search)


@pytest.fixture
def wanted(translator: Translator, tiny: TinyRun) -> Pairs:
    """The distinct sources and what `nmt translate` makes of each."""
    return list(zip(tiny.sources, translator.translate(tiny.sources), strict=True))


def test_the_training_text_is_written_with_the_translations_that_nmt_translate_makes(
    tiny: TinyRun, tmp_path: Path, wanted: Pairs
) -> None:
    result = nmt("distill", tiny.run, tmp_path / "out")
    assert result.code == 0, result.err
    assert pairs_of(tmp_path / "out") == wanted
    files = {tmp_path / "out.de", tmp_path / "out.en"}
    assert set(tmp_path.iterdir()) == files
    assert all(f"{file}" in result.text for file in files)
    assert "200 pairs; left out: 0 that reached the length limit, 0 with an empty translation" in result.text


def test_the_sources_are_those_that_training_sees(tiny: TinyRun, tmp_path: Path) -> None:
    strict = with_recipe(tiny.run, tmp_path / "strict", data={"max_chars": 20, "max_ratio": 1.2})
    assert nmt("distill", strict, tmp_path / "out").code == 0
    found = [src for src, _ in pairs_of(tmp_path / "out")]
    assert found == list(open_corpora(load_stored_recipe(strict).data).train.pairs["src"])
    assert 20 < len(found) < len(tiny.sources) - 20


def test_each_distinct_line_is_there_once_in_order_and_no_blank_one(
    translator: Translator, tiny: TinyRun, tmp_path: Path, wanted: Pairs
) -> None:
    few = tiny.sources[:5]
    run(translator, [few[0], "", *few, " \t", *few[::-1]], tmp_path / "out")
    assert pairs_of(tmp_path / "out") == wanted[:5]


def test_lines_of_ones_own_are_translated_in_place_of_the_training_text(
    tiny: TinyRun, tmp_path: Path, wanted: Pairs
) -> None:
    (tmp_path / "own.de").write_text("".join(f"{line}\n" for line in tiny.sources[7:12]))
    assert nmt("distill", tiny.run, tmp_path / "out", "--src", tmp_path / "own.de").code == 0
    assert pairs_of(tmp_path / "out") == wanted[7:12]


def test_several_runs_teach_together(tiny: TinyRun, tmp_path: Path) -> None:
    other = sibling(tiny.run, tmp_path / "other")
    assert nmt("distill", tiny.run, tmp_path / "out", "--ensemble", other, "--beam-size", 2).code == 0
    together = load_ensemble([tiny.run, other], search={"beam_size": 2}).translate(tiny.sources)
    assert [tgt for _, tgt in pairs_of(tmp_path / "out")] == together


def test_translations_that_were_cut_off_are_left_out_and_counted(
    translator: Translator, tiny: TinyRun, tmp_path: Path
) -> None:
    short = limited(translator, max_length_ratio=0.5, max_length_offset=2)
    found = zip(tiny.sources, short.translations(tiny.sources), strict=True)
    whole = [(src, best.text) for src, [best] in found if "truncated" not in best.flags]
    counts = run(short, tiny.sources, tmp_path / "out")
    assert pairs_of(tmp_path / "out") == whole
    assert counts == Distilled(pairs=len(whole), truncated=200 - len(whole), empty=0)
    assert 5 < len(whole) < 195


def test_empty_translations_are_left_out_and_counted(
    translator: Translator, tiny: TinyRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode = type(translator.tokenizers.tgt).decode
    monkeypatch.setattr(
        type(translator.tokenizers.tgt), "decode", lambda self, ids: (text := decode(self, ids)) * (len(text) > 20)
    )
    counts = run(translator, tiny.sources, tmp_path / "out")
    found = pairs_of(tmp_path / "out")
    assert all(len(tgt) > 20 for _, tgt in found)
    assert counts == Distilled(pairs=len(found), truncated=0, empty=200 - len(found))
    assert 5 < len(found) < 195


def test_the_sides_stay_aligned_whatever_the_lines_hold(translator: Translator, tmp_path: Path) -> None:
    odd = [f"Er{sign}kommt." for sign in ("\u2028", "\u0085", "\r", "\x0c", '"', "\0", "\ufeff", "\\n")]
    run(translator, odd, tmp_path / "out")
    assert pairs_of(tmp_path / "out") == list(zip(odd, translator.translate(odd), strict=True))


def test_a_recipe_can_name_what_was_written_beside_its_training_text(tiny: TinyRun, tmp_path: Path) -> None:
    recipe = Path(shutil.copy(tiny.recipe, tmp_path))
    for name, pairs in (("train", tiny.pairs), ("valid", tiny.pairs[:9]), ("test", tiny.pairs[:9])):
        write_pairs(tmp_path, name, pairs)
    assert nmt("distill", tiny.run, tmp_path / "taught").code == 0
    corpus = open_corpora(read(recipe, **{"data.train": '["train", "taught"]'}).data).train
    both = [*tiny.pairs, *pairs_of(tmp_path / "taught")]
    assert list(zip(corpus.pairs["src"], corpus.pairs["tgt"], strict=True)) == list(dict.fromkeys(both))


@pytest.mark.parametrize("stop", [0, 1, 64, 199])
def test_an_interruption_leaves_only_the_part_and_resume_makes_what_an_uninterrupted_run_makes(
    translator: Translator, tiny: TinyRun, tmp_path: Path, wanted: Pairs, stop: int
) -> None:
    class Stopping(Translator):
        def translations(self, *args: Any, **options: Any) -> Iterator[Any]:
            for number, found in enumerate(super().translations(*args, **options)):
                if number == stop:
                    raise KeyboardInterrupt
                yield found

    with pytest.raises(Interrupted, match=r"out\.part: the same command with --resume"):
        stopping = Stopping(translator.model, translator.tokenizers, translator.search)
        run(stopping, tiny.sources, tmp_path / "out", system=system_of([tiny.run], None, "fast", translator.search))
    assert list(tmp_path.iterdir()) == [tmp_path / "out.part"]
    lines = (tmp_path / "out.part").read_bytes().splitlines()
    assert len(lines) == stop
    if lines:  # marked, to see that it is not translated again
        src, _, flags, system = json.loads(lines[0])
        lines[0] = json.dumps([src, "done before", flags, system]).encode()
    (tmp_path / "out.part").write_bytes(b"".join(line + b"\n" for line in lines) + b'["half a l')
    result = nmt("distill", tiny.run, tmp_path / "out", "--resume")
    assert result.code == 0, result.err
    assert "200 pairs" in result.text
    marked = [(tiny.sources[0], "done before")][:stop]
    assert pairs_of(tmp_path / "out") == marked + wanted[len(marked) :]
    assert not (tmp_path / "out.part").exists()


def test_without_resume_the_part_of_an_earlier_run_is_neither_gone_on_with_nor_lost(
    translator: Translator, tiny: TinyRun, tmp_path: Path
) -> None:
    part = tmp_path / "out.part"
    part.write_text("hours of work\n")
    with pytest.raises(OutputError, match=r"out\.part: what an earlier run has done: .*--resume, or delete it"):
        run(untouched(translator), tiny.sources[:3], tmp_path / "out")
    assert part.read_text() == "hours of work\n"


def test_an_empty_part_is_no_work(translator: Translator, tiny: TinyRun, tmp_path: Path, wanted: Pairs) -> None:
    (tmp_path / "out.part").touch()
    run(translator, tiny.sources[:3], tmp_path / "out")
    assert pairs_of(tmp_path / "out") == wanted[:3]


def test_a_system_is_its_models_their_combination_and_the_search(tiny: TinyRun, tmp_path: Path) -> None:
    search = load_stored_recipe(tiny.run).search
    other = sibling(tiny.run, tmp_path / "other")
    systems = [
        system_of([tiny.run], None, "fast", search),
        system_of([other], None, "fast", search),
        system_of([tiny.run, other], "linear", "fast", search),
        system_of([tiny.run, other], "log_linear", "fast", search),
        system_of([tiny.run], None, "fast", search.model_copy(update={"beam_size": 7})),
        system_of([tiny.run], None, "int8", search),
    ]
    assert len(set(systems)) == len(systems)
    assert system_of([tiny.run], None, "fast", search) == systems[0]


@pytest.mark.parametrize(
    "line", ['["Etwas anderes.", "x", [], "5ea1"]', '["Sie kommt.", "x", [], "0"]', "x", "[]", "3"]
)
def test_resume_on_other_lines_is_refused_and_the_part_kept(translator: Translator, tmp_path: Path, line: str) -> None:
    part = tmp_path / "out.part"
    part.write_text('["Er kommt.", "x", [], "5ea1"]\n' + line + "\n")
    with pytest.raises(DataError, match=r"line 2 of .*out\.part is not what this run makes of line 2.*Delete it"):
        run(untouched(translator), ["Er kommt.", "Sie kommt."], tmp_path / "out", resume=True)
    assert part.read_text() == '["Er kommt.", "x", [], "5ea1"]\n' + line + "\n"
    assert list(tmp_path.iterdir()) == [part]


def test_resume_on_fewer_lines_is_refused(translator: Translator, tmp_path: Path) -> None:
    (tmp_path / "out.part").write_text('["a", "x", [], "5ea1"]\n["b", "x", [], "5ea1"]\n')
    with pytest.raises(DataError, match="2 lines are translated already, but the input has only 1"):
        run(untouched(translator), ["a"], tmp_path / "out", resume=True)


@pytest.mark.parametrize("side", ["de", "en"])
def test_a_file_that_is_there_is_never_written_over_and_nothing_translated(
    translator: Translator, tmp_path: Path, side: str
) -> None:
    there = tmp_path / f"train.{side}"
    there.write_text("the training text itself\n")
    with pytest.raises(OutputError, match=rf"train\.{side}: is there already.*name another, or delete it"):
        run(untouched(translator), ["Er kommt."], tmp_path / "train")
    assert there.read_text() == "the training text itself\n"
    assert list(tmp_path.iterdir()) == [there]


def test_two_sides_of_one_language_are_refused(translator: Translator, tmp_path: Path) -> None:
    data = DATA.model_copy(update={"tgt_lang": "de"})
    with pytest.raises(OutputError, match=r"out\.de: source and target would be one file"):
        distill(
            untouched(translator),
            ["Er kommt."],
            tmp_path / "out",
            data=data,
            system=SYSTEM,
            console=Console(file=io.StringIO()),
        )


@pytest.mark.parametrize("lines", [[], ["", " "]])
def test_a_text_without_a_line_to_translate_is_refused(
    translator: Translator, tmp_path: Path, lines: list[str]
) -> None:
    with pytest.raises(DataError, match="nothing to translate"):
        run(translator, lines, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_full_disk_leaves_no_side_alone_and_what_was_done_in_the_part(
    translator: Translator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Whichever flush is the first to fail: that of the part, or of one of the two files."""
    flushed = []
    sync = os.fsync

    def full(descriptor: int) -> None:
        flushed.append(descriptor)
        if len(flushed) >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="cannot be written: No space left on device"):
        run(translator, ["Er kommt."], tmp_path / "out")
    assert [file.name for file in tmp_path.iterdir()] == ["out.part"]
    monkeypatch.undo()
    run(translator, ["Er kommt."], tmp_path / "out", resume=True)
    assert pairs_of(tmp_path / "out") == [("Er kommt.", *translator.translate(["Er kommt."]))]


def test_a_person_at_a_terminal_sees_how_far_it_is(translator: Translator, tiny: TinyRun, tmp_path: Path) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    distill(translator, tiny.sources[:10], tmp_path / "out", data=DATA, system=SYSTEM, console=console)
    assert "translating" in screen.getvalue()
    assert "100%" in screen.getvalue()

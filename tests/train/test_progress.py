"""What a person sees of a training, and the lines it leaves."""

import io
import json
import math
import os
from pathlib import Path
from typing import Any, TextIO, cast

import pytest
from rich.console import Console
from toy_run import TinyRun

from nmt.errors import OutputError
from nmt.train.progress import Display, LastingStream, MetricsFile, Sample, Values, mean_report

REPORT: Values = {
    "event": "train", "step": 20, "epoch": 3, "loss": 1.2345, "ppl": 3.21, "learning_rate": 0.002,
    "gradient_norm": 0.75, "tokens": 900, "tokens_per_second": 12345.6,
}  # fmt: skip
VALID: Values = {"event": "valid", "step": 20, "bleu": 12.345, "ppl": 4.567, "best_bleu": 12.345, "seconds": 1.26}
SAMPLE = Sample("Hallo [bold]Welt[/bold] :smile: [/]", "Hello\\", "[link=x]y")


def read_lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def shown(*, terminal: bool, samples: list[Sample] | None = None) -> str:
    """All that a display writes in a short training."""
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=terminal, width=100, color_system=None, legacy_windows=False)
    with Display(console, total_steps=40, step=10) as display:
        display.advance(20)
        display.report(REPORT, best_bleu=None)
        display.validated(VALID, samples or [], better=True)
        display.report(REPORT, best_bleu=12.345)
        display.validated(VALID, [], better=False)
    return screen.getvalue()


def test_where_there_is_no_terminal_there_are_plain_lines_only() -> None:
    text = "epoch 3  loss 1.234  ppl 3.21  lr 2.0e-03  grad 0.75  12,346 tok/s"
    assert shown(terminal=False).split("\n") == [
        f"step 20/40  {text}",
        "valid step 20  BLEU 12.35  ppl 4.57  1.3 s  (best so far)",
        f"step 20/40  {text}  best BLEU 12.35",
        "valid step 20  BLEU 12.35  ppl 4.57  1.3 s",
        "",
    ]


def test_a_whole_training_writes_no_control_codes_into_a_file(tiny: TinyRun) -> None:
    assert tiny.printed.isprintable() is False  # line ends
    assert tiny.printed.replace("\n", "").isprintable()


def test_a_terminal_gets_a_bar_that_moves_and_goes_away() -> None:
    text = shown(terminal=True)
    assert "\x1b[" in text
    assert "20/40" in text
    assert "━" in text
    assert "loss 1.234" in text
    assert "best BLEU 12.35" in text
    assert text.count("valid step 20") == 2
    assert "step 20/40  epoch" not in text  # that is the bar's to show
    assert text.endswith("\x1b[2K") or "\x1b[?25h" in text[-40:]  # the cursor is back


@pytest.mark.parametrize("terminal", [False, True])
def test_samples_are_shown_as_they_are_whatever_is_in_them(terminal: bool) -> None:
    text = shown(terminal=terminal, samples=[SAMPLE])
    for part in SAMPLE:
        assert part in text


def test_metrics_are_there_as_soon_as_they_are_written(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl", from_step=0)
    file.write(REPORT)
    assert [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [REPORT]
    file.close()


def test_metrics_go_on_after_the_step_that_was_saved(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"event": "train", "step": step}) + "\n" for step in (4, 8, 8, 12)]
    path.write_text("".join(lines) + '{"step": 1')  # a kill cut the last
    file = MetricsFile(path, from_step=8)
    file.write({"step": 12, "bleu": 1.0})
    file.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [
        *({"event": "train", "step": step} for step in (4, 8, 8)), {"step": 12, "bleu": 1.0},
    ]  # fmt: skip


def test_going_back_drops_what_came_after_and_that_one_went_back_there(tmp_path: Path) -> None:
    """It will be told again if it happens again; going back earlier stands."""
    file = MetricsFile(tmp_path / "metrics.jsonl", from_step=0)
    rows: list[Values] = [
        {"event": "train", "step": 4}, {"event": "rollback", "step": 4}, {"event": "valid", "step": 8},
        {"event": "rollback", "step": 8}, {"event": "train", "step": 12},
    ]  # fmt: skip
    for row in rows:
        file.write(row)
    file.rewind(8)
    assert read_lines(tmp_path) == rows[:3]
    file.write({"event": "train", "step": 9})
    assert read_lines(tmp_path)[-1]["step"] == 9
    file.close()
    MetricsFile(tmp_path / "metrics.jsonl", from_step=4).close()
    assert read_lines(tmp_path) == rows[:1]


def test_lines_that_a_power_cut_spoiled_are_dropped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"event": "train", "step": 4}\n' + bytes(20) + b'\n[]\n{"event": "train"}\n\xff\n')
    file = MetricsFile(path, from_step=8)
    file.rewind(6)
    file.close()
    assert read_lines(tmp_path) == [{"event": "train", "step": 4}]
    assert file.spoiled == 4


def test_lines_that_were_only_given_up_or_cut_by_a_kill_are_not_damaged(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "train", "step": 12}\n{"event": "rollback", "step": 8}\n{"event": "tr')
    file = MetricsFile(path, from_step=8)
    file.close()
    assert file.spoiled == 0
    assert read_lines(tmp_path) == []


def test_a_line_is_on_the_disk_before_a_checkpoint_can_follow_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Synced with all its bytes when `write` returns: a power cut leaves no checkpoint without its lines."""
    file = MetricsFile(tmp_path / "metrics.jsonl", from_step=0)
    synced: list[bytes] = []
    sync = os.fsync

    def fsync(number: int) -> None:
        assert os.fstat(number).st_ino == (tmp_path / "metrics.jsonl").stat().st_ino
        synced.append((tmp_path / "metrics.jsonl").read_bytes())
        sync(number)

    monkeypatch.setattr(os, "fsync", fsync)
    for count in (1, 2):
        file.write(REPORT)
        assert [len(content.split(b"\n")) - 1 for content in synced] == list(range(1, count + 1))
    file.close()


def test_a_full_disk_is_told_in_words_and_once(tmp_path: Path) -> None:
    file = MetricsFile(tmp_path / "metrics.jsonl", from_step=0)
    with Path("/dev/full").open("wb") as full:
        os.dup2(full.fileno(), file._stream.fileno())  # type: ignore[union-attr]
    with pytest.raises(OutputError, match=r"metrics\.jsonl: cannot be written: No space left .* same command again"):
        file.write(REPORT)
    file.close()


def test_a_stream_that_ends_is_written_to_without_a_word(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        console = Console(file=cast(TextIO, LastingStream(pipe)))
        console.print("one")
        with os.fdopen(reading) as reader:
            assert reader.readline() == "one\n"
        for _ in range(3):
            console.print("two")
        pipe.write("what is left in a buffer")  # and flushed at the end


def test_a_stream_that_lasts_is_as_ever() -> None:
    file = io.StringIO()
    stream = LastingStream(file)
    assert stream.write("words") == 5
    stream.flush()
    assert file.getvalue() == "words"
    assert stream.isatty() is False


def test_metrics_of_before_survive_a_kill_in_the_moment_of_going_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"event": "train", "step": 4}\n')

    def killed(self: Path, target: Path) -> Path:
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        MetricsFile(path, from_step=8)
    assert path.read_text() == '{"event": "train", "step": 4}\n'


def test_a_report_is_of_means_a_token_and_a_step() -> None:
    totals = {"tokens": 200, "loss": 500.0, "nll": 400.0, "gradient_norm": 3.0, "steps": 4, "seconds": 0.5}
    assert mean_report(8, 0, totals, 0.1) == {
        "event": "train", "step": 8, "epoch": 1, "loss": 2.5, "ppl": pytest.approx(math.e**2), "learning_rate": 0.1,
        "gradient_norm": 0.75, "tokens": 200, "tokens_per_second": 400.0,
    }  # fmt: skip


def test_a_perplexity_beyond_all_numbers_is_a_number() -> None:
    totals = {"tokens": 1, "loss": 1e6, "nll": 1e6, "gradient_norm": 1.0, "steps": 1, "seconds": 0.0}
    assert json.loads(json.dumps(mean_report(1, 0, totals, 0.1)))["ppl"] == pytest.approx(math.exp(100))

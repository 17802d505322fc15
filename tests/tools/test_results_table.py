"""The table of runs: what stands in the run folders, a row for the seeds of one setting."""

import json
import statistics
from pathlib import Path

import pytest
import torch
from results_table import Run, read_run, spread, table
from safetensors.torch import save_file
from toy_run import TinyRun

from nmt.errors import NmtError


def write_run(folder: Path, *, bleu: float) -> Path:
    folder.mkdir()
    save_file({"a": torch.zeros(3, 4), "b": torch.zeros(5)}, folder / "model.safetensors")
    row = {"test_set": "test", "metric": "BLEU", "score": bleu, "signature": "nrefs:1|..."}
    (folder / "scores.json").write_text(json.dumps([row]))
    reports = [
        {"event": "train", "step": 4, "tokens": 6000, "tokens_per_second": 200.0},
        {"event": "valid", "step": 5, "bleu": bleu + 2, "elapsed_seconds": 30.0},
        {"event": "train", "step": 8, "tokens": 12000, "tokens_per_second": 100.0},  # disturbed
        {"event": "valid", "step": 9, "bleu": bleu + 1, "elapsed_seconds": 90.0},
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(report) + "\n" for report in reports))
    return folder


def test_a_run_is_read_from_its_folder(tmp_path: Path) -> None:
    run = read_run(write_run(tmp_path / "r", bleu=30.0))
    assert run == Run({("test", "BLEU"): 30.0}, {"BLEU": "nrefs:1|..."}, 17, 9, 1.5, 32.0)


def test_a_run_that_nmt_train_left_is_read(tiny: TinyRun) -> None:
    run = read_run(tiny.run)
    assert {metric for _, metric in run.scores} == {"BLEU", "chrF2"}
    assert run.steps == 320  # conftest.py says so
    assert run.minutes > 0


def test_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with pytest.raises(NmtError, match="r: not a finished run"):
        read_run(tmp_path / "r")


def test_several_seeds_have_mean_and_standard_deviation() -> None:
    values = [38.1, 38.9, 38.4]
    assert spread(values) == f"{statistics.mean(values):.2f} ± {statistics.stdev(values):.2f}"
    assert spread([38.129]) == "38.13"


def test_columns_align_and_each_name_is_a_row(tmp_path: Path) -> None:
    runs = {
        "lstm": [read_run(write_run(tmp_path / f"lstm{bleu}", bleu=bleu)) for bleu in (10.0, 12.0)],
        "simple cell": [read_run(write_run(tmp_path / "rnn", bleu=5.0))],
    }
    lines = table(runs).split("\n")
    assert len({len(line) for line in lines}) == 1
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["lstm", "simple cell"]
    assert "11.00 ± 1.41" in lines[2]

"""The measurement of the data's way runs, and tells what it promises."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from bench_data import STAGES
from toy_run import phrasebook, write_pairs

TOOL = Path(__file__).parents[2] / "tools" / "bench_data.py"


def bench(cache: str | None, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {key: value for key, value in os.environ.items() if key != "NMT_CACHE"} | (
        {"NMT_CACHE": cache} if cache else {}
    )
    return subprocess.run([sys.executable, str(TOOL), *arguments], capture_output=True, text=True, env=env, check=False)


def test_it_wants_a_cache_of_its_own(tmp_path: Path) -> None:
    done = bench(None, str(tmp_path / "train"))
    assert (done.returncode, "set NMT_CACHE to an empty folder" in done.stderr) == (2, True)


@pytest.mark.slow
def test_every_stage_has_its_row(tmp_path: Path) -> None:
    write_pairs(tmp_path, "train", phrasebook(1000, longest=40))
    done = bench(str(tmp_path / "cache"), str(tmp_path / "train"), "--threads", "1")
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["stage"] for row in rows] == list(STAGES)
    assert all(row["peak_mb"] > row["own_mb"] > 10 for row in rows)
    rates = {row["stage"]: {key for key in row if key.endswith("per_cpu_second")} for row in rows}
    assert rates["read"] == {"pairs_per_cpu_second"}
    assert rates["tokenise"] == {"lines_per_cpu_second"}
    assert rates["batches"] == {"batches_per_cpu_second"}

"""What the decoding benchmark prints."""

import json
import re

import pytest
from bench_decode import main
from toy_run import TinyRun

from nmt.loading import load


def test_a_row_for_each_setting_with_the_bleu_of_what_was_timed(
    tiny: TinyRun, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--engines", "exact", "fast", "fast+shortlist", "int8", "--beams", "1", "3", "--batches", "1", "64"]
    options += ["--workers", "1", "2"]
    main([str(tiny.run), *options, "--rounds", "1", "--sentences", "12"])
    machine, *rows = json.loads(capsys.readouterr().out)
    assert machine["gemm_gflops"] > 0
    assert machine["load_seconds"] > 0
    assert machine["peak_memory_mb"] > 50
    keys = ("engine", "shortlist", "beam_size", "batch_size", "workers")
    settings = [tuple(row[key] for key in keys) for row in rows]
    assert len(set(settings)) == len(rows) == 4 * 2 * (1 + 2)
    for row in rows:
        assert row["sentences"] == 12
        assert row["sentences_per_second"] > 0
        assert row["tokens_per_second"] > row["sentences_per_second"]
        assert re.search("tok:13a.*version", row["signature"])
        assert ("latency_median_ms" in row) == (row["batch_size"] == 1)
        assert (row.get("sentences_per_second_at_first", 0) > 0) == (row["workers"] > 1)
        if row["batch_size"] == 1:
            assert 0 < row["latency_median_ms"] <= row["latency_p95_ms"]
    by_setting = dict(zip(settings, rows, strict=True))
    for beam_size in (1, 3):
        exact, *others = (
            by_setting[engine, False, beam_size, 64, workers] for engine in ("exact", "fast") for workers in (1, 2)
        )
        assert {other["bleu"] for other in others} == {exact["bleu"]}
        assert exact["bleu"] > 5
    assert load(tiny.run).search.beam_size == 3

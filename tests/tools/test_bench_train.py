"""The training benchmark: it measures the trainer itself, and counts what it says it counts."""

import json
from typing import Any

import bench_train
import pytest
import torch
from bench_train import Bench, Peak, Turn, forward_flops, main, measure_team, summary
from click.testing import CliRunner
from torch.utils.flop_counter import FlopCounterMode

from nmt.data.batches import collate
from nmt.data.tokenizer import TokenizerPair
from nmt.model.build import build_model
from nmt.model.loss import smoothed_loss
from nmt.model.model import real_positions
from nmt.recipe import ModelSection, TrainSection
from nmt.train.distributed import Team
from nmt.train.trainer import Trainer

TINY = ModelSection(embed_dim=8, encoder_dim=6, decoder_dim=10, dropout=0.2)
VOCAB = 1000


@pytest.fixture(scope="module")
def bench() -> Bench:
    bench_train.SETTINGS["tiny"] = (TINY, VOCAB, 60, 0)
    return bench_train.new_bench("tiny", bench_train.open_text(None), dict[int, TokenizerPair]())


def test_a_timed_trainer_makes_the_same_weights_as_one_that_is_left_alone(bench: Bench) -> None:
    torch.manual_seed(1)
    model = build_model(TINY, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    section = TrainSection(batch_tokens=60, max_steps=10**6)
    alone = Trainer(section=section, model=model, stream=bench._stream)
    tokens = sum(alone.update().tokens for _ in range(4))
    torch.manual_seed(1)
    build_model(TINY, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)  # the draws before the first step
    found = bench.round(4, bench_train.time.process_time)
    assert found["tokens"] == tokens
    weights = bench.trainer.model.weights()
    assert all(torch.equal(weights[name], tensor) for name, tensor in model.weights().items())


def test_the_phases_are_all_of_a_step_but_for_counting(bench: Bench) -> None:
    found = bench.round(5, bench_train.time.process_time)
    phases = [found[name] for name in ("data", "forward", "backward", "optimizer")]
    assert min(phases) > 0
    assert 0.8 * found["cpu"] < sum(phases) <= found["cpu"]


def test_the_formula_is_what_torch_counts_without_padding() -> None:
    """Sentences of one length; torch knows no FLOPs of a fused LSTM: the formula's are taken as they are."""
    batch = collate([[5, 6, 7]] * 3, [[8, 9]] * 3)
    model = build_model(TINY, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    with FlopCounterMode(display=False) as counter:
        readouts = model.readouts(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
        tgt = real_positions(batch.tgt_out, batch.tgt_lengths)
        smoothed_loss(model.output(readouts), tgt, label_smoothing=0.1)
    lstms = 3 * 4 * 2 * 8 * 6 * (8 + 6) + 3 * 3 * 8 * 10 * (8 + 10)
    assert forward_flops(TINY, batch, vocab_size=VOCAB, samples=0) == counter.get_total_flops() + lstms


def test_with_samples_the_output_has_the_types_of_the_batch_and_so_many_others() -> None:
    batch = collate([[5, 6, 7]] * 3, [[8, 9, 8]] * 3)  # types: 8, 9 and eos
    full, sampled = (forward_flops(TINY, batch, vocab_size=VOCAB, samples=samples) for samples in (0, 50))
    assert full - sampled == 3 * 4 * 2 * 8 * (VOCAB - 53)


def test_padding_is_not_counted() -> None:
    lengths = ((5, 2), (2, 7))
    pairs = [([5] * src, [6] * tgt) for src, tgt in lengths]
    together = collate(*zip(*pairs, strict=True))
    alone = [collate([src], [tgt]) for src, tgt in pairs]
    found = [forward_flops(TINY, batch, vocab_size=VOCAB, samples=0) for batch in (together, *alone)]
    assert found[0] == sum(found[1:])


def test_it_prints_a_row_for_each_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench_train.SETTINGS, "small", (TINY, VOCAB, 60, 0))
    monkeypatch.setitem(bench_train.SETTINGS, "small-sampled", (TINY, VOCAB, 60, 20))
    monkeypatch.setattr(bench_train, "peak_gflops", lambda clock: {"a": Peak(50.0, 300.0), "b": Peak(100.0, 200.0)})
    threads = torch.get_num_threads()
    arguments = ["--steps", "1", "--rounds", "2", "--only", "small", "--only", "small-sampled"]
    try:
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    finally:
        torch.set_num_threads(threads)
    rows = json.loads(result.stdout)
    assert [row["setting"] for row in rows] == ["small", "small-sampled"]
    for row in rows:
        assert sum(row["shares"].values()) == pytest.approx(1.0, abs=0.05)
        assert (row["gemm_peak_gflops"], row["gemm_peak_shape"]) == (100.0, "b")
        assert row["ratio"] == pytest.approx(row["gflops"] / 100.0, abs=2e-3)
        assert row["ratio_to_best"] == pytest.approx(row["gflops"] / 300.0, abs=2e-3)
        assert row["target_tokens_per_second"] > 0
        assert row["peak_memory_mb"] > 50


def test_threads_are_compared_with_one_round_by_round() -> None:
    """The machine is twice as fast in the second round; so are both."""
    phases = dict.fromkeys(("data", "forward", "backward", "optimizer"), 1.0)
    more, one = (
        [
            Turn({"a": Peak(rate, rate)}, {**phases, "tokens": 12, "flops": 1e9, "wall": wall})
            for rate, wall in ((rate, wall), (2 * rate, wall / 2))
        ]
        for rate, wall in ((180.0, 2.0), (100.0, 3.0))
    )
    found = summary("x", more, one, "wall")
    assert (found["times_one_thread"], found["gemm_peak_times_one_thread"]) == (1.5, 1.8)
    found = summary("x", more, [], "wall")
    assert (found["times_one_thread"], found["gemm_peak_times_one_thread"]) == (None, None)


def test_more_threads_take_turns_with_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(bench_train.SETTINGS, "small", (TINY, VOCAB, 60, 0))
    seen, threads, untold = list[int](), torch.get_num_threads(), Bench.round

    def told(self: Bench, *arguments: Any) -> dict[str, float]:
        seen.append(torch.get_num_threads())
        return untold(self, *arguments)

    monkeypatch.setattr(Bench, "round", told)
    monkeypatch.setattr(bench_train, "WARM_UP_STEPS", 1)
    monkeypatch.setattr(bench_train, "peak_gflops", lambda clock: {"a": Peak(1.0 * torch.get_num_threads(), 1.0)})
    try:
        arguments = ["--steps", "1", "--rounds", "2", "--only", "small", "--threads", "2"]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
    finally:
        torch.set_num_threads(threads)
    assert seen == [2, 2, 1, 2, 1]  # to warm up, then two rounds
    [row] = json.loads(result.stdout)
    assert row["times_one_thread"] > 0
    assert row["gemm_peak_times_one_thread"] == 2.0


def test_processes_are_compared_with_one_each_with_as_many_tokens(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second of two, as it sees both: alone the first makes 30 tokens a second, this one 50, together 100."""
    team, rates = Team(1, 2), {60: 50.0, 120: 100.0}

    def round_(self: Bench, *_: Any) -> dict[str, float]:
        return {"tokens": rates[self.trainer.section.batch_tokens], "wall": 1.0}

    monkeypatch.setattr(Bench, "round", round_)
    monkeypatch.setattr(Team, "gather", lambda self, value: [30.0, value])
    monkeypatch.setattr(Team, "follow", lambda self, value: value)
    found = measure_team("tiny", bench_train.open_text(None), team, steps=1, rounds=1)
    assert found["times_one_process"] == 2.5
    assert found["target_tokens_per_wall_second"] == 100.0

"""Forced decoding comes to what a search reports, and to where the model looked."""

import json
import math
from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_ensemble import sibling
from toy_run import TinyRun, nmt

from nmt import scoring
from nmt.alignment import coverage_penalty
from nmt.data.batches import collate_src
from nmt.data.tokenizer import BOS_ID, EOS_ID, PAD_ID, UNK_ID
from nmt.engine.engines import EngineKind, engine_for
from nmt.errors import DataError, NmtError, RecipeError
from nmt.loading import load, load_ensemble
from nmt.model.build import AnyModel, build_model
from nmt.recipe import ModelSection
from nmt.scoring import CorpusScore, ScoredIds, ScoredPair, open_pairs, rerank_by_coverage, score_ids, score_pairs
from nmt.search.beam import BeamOptions, beam_search
from nmt.search.ensemble import Combination, Ensemble, StepModel
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty
from nmt.translator import Translator

VOCAB = 40
BASE: dict[str, Any] = {"embed_dim": 12, "encoder_dim": 8, "decoder_dim": 16, "dropout": 0.3}
KINDS: dict[str, dict[str, Any]] = {
    "general": {},
    "deep gru": {"cell": "gru", "attention": "mlp", "encoder_layers": 2, "decoder_layers": 2, "residual": True},
    "vector": {"cell": "rnn", "attention": "none", "reverse_source": True},
    "convolutional": {"encoder": "convolutional", "encoder_dim": 16, "attention": "local", "attention_window": 2},
    "fed": {"cell": "lnlstm", "attention": "multihead", "attention_heads": 2, "input_feeding": True},
    "dot": {"attention": "dot"},
    "read along": {"architecture": "read_along", "wait": 2},
}
LOOKS = [kind for kind in KINDS if kind not in ("vector", "read along")]
SOURCES = [[5, 6, 7], [8], [4, 9, 10, 11, 5, 12, 13], [20, 21, 22, 23], [30, 5]]
each_kind = pytest.mark.parametrize("kind", KINDS)
PENALTY = LengthPenalty("average")


def new_model(kind: str, *, seed: int = 1) -> AnyModel:
    """With weights wide enough for some tokens to be much likelier than others."""
    torch.manual_seed(seed)
    model = build_model(ModelSection(**(BASE | KINDS[kind])), src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2.0)
    return model.eval()


def searched(model: StepModel[Any], sources: Sequence[Sequence[int]] = SOURCES) -> list[list[Hypothesis]]:
    return beam_search(
        model.step,
        model.start(*collate_src(sources)),  # type: ignore[arg-type]
        max_lengths=torch.tensor([2 * len(ids) + 3 for ids in sources]),
        options=BeamOptions(4, PENALTY, n_best=4),
        bos_id=BOS_ID,
        eos_id=EOS_ID,
        suppress_ids=(PAD_ID, UNK_ID, BOS_ID),
    )


def pairs_of(found: Sequence[Sequence[Hypothesis]]) -> tuple[list[Sequence[int]], list[Sequence[int]]]:
    both = [(src, hypothesis.ids) for src, line in zip(SOURCES, found, strict=True) for hypothesis in line]
    return [src for src, _ in both], [tgt for _, tgt in both]


def assert_agree(scored: Sequence[ScoredIds], found: Sequence[Sequence[Hypothesis]]) -> None:
    hypotheses = [hypothesis for line in found for hypothesis in line]
    for ours, theirs in zip(scored, hypotheses, strict=True):
        assert ours.token_log_probs == pytest.approx(theirs.token_log_probs, abs=1e-5)
        assert ours.log_prob == pytest.approx(theirs.log_prob, abs=1e-5 * len(theirs.token_log_probs))


@each_kind
@pytest.mark.parametrize("engine", ["exact", "fast"])
def test_log_probs_are_those_that_a_search_reports_for_its_own_output(kind: str, engine: EngineKind) -> None:
    model = new_model(kind)
    found = searched(engine_for(model, engine))
    assert len({len(hypothesis.ids) for line in found for hypothesis in line}) > 2
    assert_agree(score_ids(model, *pairs_of(found)), found)


@pytest.mark.parametrize("combination", ["linear", "log_linear"])
def test_log_probs_of_an_ensemble_are_those_that_its_search_reports(combination: Combination) -> None:
    models = [new_model("general"), new_model("deep gru", seed=2), new_model("read along", seed=3)]
    found = searched(Ensemble([engine_for(model, "fast") for model in models], combination=combination))
    assert_agree(score_ids(Ensemble(models, combination=combination), *pairs_of(found)), found)


@each_kind
@pytest.mark.parametrize(("batch_size", "max_cells"), [(1, 2**18), (3, 2**18), (64, 150)])
def test_neither_batch_mates_nor_order_change_a_pair(
    kind: str, batch_size: int, max_cells: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = new_model(kind).double()
    srcs, tgts = [*SOURCES, [], [7]], [[4, 5], [6, 7, 8, 9], [], [5], [10, 11, 12], [9], []]
    wanted = score_ids(model, srcs, tgts, attention=True)
    monkeypatch.setattr(scoring, "MAX_CELLS", max_cells)
    found = score_ids(model, srcs[::-1], tgts[::-1], attention=True, batch_size=batch_size)[::-1]
    for one, other in zip(found, wanted, strict=True):
        assert one.token_log_probs == pytest.approx(other.token_log_probs, abs=1e-9)
        torch.testing.assert_close(one.attention, other.attention)
    assert [len(one.token_log_probs) for one in found] == [len(tgt) + 1 for tgt in tgts]


def test_a_batch_takes_bounded_memory() -> None:
    shapes = [(t, s) for t in (3, 40, 200) for s in (2, 50, 300)] * 5
    seen = []
    for rows in scoring._batches(shapes, 8):
        cells = len(rows) * max(shapes[row][0] for row in rows) * max(shapes[row][1] for row in rows)
        assert len(rows) <= 8
        assert cells <= scoring.MAX_CELLS or len(rows) == 1
        seen += rows
    assert sorted(seen) == list(range(len(shapes)))


@pytest.mark.parametrize("kind", LOOKS)
def test_attention_is_where_a_step_of_the_search_looks(kind: str) -> None:
    model: Any = new_model(kind).double()
    tgt = [4, 5, 6]
    for src in SOURCES:
        looked: list[torch.Tensor] = []
        keep = lambda module, inputs, _: looked.append(module.weights(*inputs)[0, 0])  # noqa: E731, B023
        state = model.start(*collate_src([src]))
        with torch.no_grad():
            hook = model.decoder.attention.register_forward_hook(keep)
            for token in [BOS_ID, *tgt]:
                _, state = model.step(torch.tensor([token]), state)
            hook.remove()
        mates = score_ids(model, [src, *SOURCES], [tgt, *SOURCES], attention=True)
        torch.testing.assert_close(mates[0].attention, torch.stack(looked))


@pytest.mark.parametrize("kind", ["vector", "read along"])
def test_a_model_without_attention_has_none(kind: str) -> None:
    assert score_ids(new_model(kind), [[5]], [[6]], attention=True)[0].attention is None
    assert score_ids(new_model("general"), [[5]], [[6]])[0].attention is None


def test_attention_of_an_ensemble_is_the_mean_of_those_that_look() -> None:
    models = [new_model("general"), new_model("vector", seed=2), new_model("fed", seed=3)]
    shares = [score_ids(model, [[5, 6]], [[6]], attention=True)[0].attention for model in models]
    together = score_ids(Ensemble(models), [[5, 6]], [[6]], attention=True)[0].attention
    assert shares[0] is not None
    torch.testing.assert_close(together, (shares[0] + shares[2]) / 2)  # type: ignore[operator]


def test_an_engine_is_refused_in_words() -> None:
    engine = engine_for(new_model("general"), "fast")
    for model in (engine, Ensemble([new_model("general"), engine])):
        with pytest.raises(TypeError, match='wants models as they were trained, those of the engine "exact"'):
            score_ids(model, [[5]], [[6]])


def test_a_damaged_model_is_told() -> None:
    model = new_model("general")
    with torch.no_grad():
        model.output.bias[7] = torch.nan
    with pytest.raises(NmtError, match="the model is damaged or its training diverged"):
        score_ids(model, [[5]], [[6]])


@pytest.mark.parametrize("beta", [0.0, 50.0])
def test_hypotheses_are_sorted_anew_by_score_and_coverage(beta: float) -> None:
    model = new_model("general")
    moved = False
    for src in SOURCES:
        lengths = (0, 9, 1, 4)  # the shorter a text, the less of the source it can have looked at
        hypotheses = [
            Hypothesis.scored([5] * length, [-1.0 - rank] * (length + 1), truncated=False, penalty=PENALTY)
            for rank, length in enumerate(lengths)
        ]
        [found, none] = rerank_by_coverage(model, [src, src], [hypotheses, []], beta=beta)
        assert none == []
        scored = score_ids(model, [src] * 4, [one.ids for one in hypotheses], attention=True)
        scores = {
            one.ids: one.score + coverage_penalty(its.attention[:, : len(src)], beta)  # type: ignore[index]
            for one, its in zip(hypotheses, scored, strict=True)
        }
        assert [one.ids for one in found] == sorted(scores, key=lambda ids: -scores[ids])
        assert [one.score for one in found] == pytest.approx([scores[one.ids] for one in found])
        assert {one.token_log_probs for one in found} == {one.token_log_probs for one in hypotheses}
        moved = moved or [one.ids for one in found] != [one.ids for one in hypotheses]
    assert moved == (beta > 1)


def test_the_coverage_penalty_of_a_model_without_attention_is_refused() -> None:
    model = new_model("vector")
    with pytest.raises(RecipeError, match=r"reads attention, but this model has none: .* model\.attention"):
        rerank_by_coverage(model, SOURCES[:1], searched(model)[:1], beta=0.2)


@pytest.fixture(scope="module")
def exact(tiny: TinyRun) -> Translator:
    return load(tiny.run, engine="exact")


def test_pairs_are_scored_in_their_order_under_the_length_penalty(exact: Translator, tiny: TinyRun) -> None:
    search = exact.search.model_copy(update={"length_penalty": "gnmt", "length_alpha": 0.9})
    pairs = tiny.pairs[:45]
    found = list(score_pairs(exact.under(search), iter(pairs), batch_size=2))
    assert [one.text for one in found] == [tgt for _, tgt in pairs]
    for (src, tgt), one in zip(pairs, found, strict=True):
        [alone] = score_ids(exact.model, [exact.tokenizers.src.encode(src)], [exact.tokenizers.tgt.encode(tgt)])
        assert one.token_log_probs == pytest.approx(alone.token_log_probs, abs=1e-5)
        assert one.log_prob == pytest.approx(math.fsum(one.token_log_probs))
        assert one.score == pytest.approx(one.log_prob / LengthPenalty("gnmt", 0.9)(len(one.tokens) + 1))
        assert list(one.tokens) == exact.tokenizers.tgt.tokens(exact.tokenizers.tgt.encode(tgt))
        assert len(one.token_log_probs) == len(one.tokens) + 1


def test_a_blank_pair_has_probability_1_and_any_other_is_scored_like_the_rest(exact: Translator) -> None:
    pairs = [("", ""), (" \t", "\u2028"), ("", "Yes."), ("Er kommt.", " "), ("Er kommt.", "He comes.")]
    found = list(score_pairs(exact, pairs, attention=True))
    for blank in found[:2]:
        assert (blank.log_prob, blank.score, blank.token_log_probs, blank.tokens) == (0.0, 0.0, (), ())
    assert [len(one.token_log_probs) > 0 for one in found] == [False, False, True, True, True]
    assert len(found[3].token_log_probs) == 1
    assert all(one.log_prob < 0 for one in found[2:])


def test_no_more_pairs_are_read_than_are_sorted_together(exact: Translator) -> None:
    numbers = count()
    endless = ((f"Er {number}.", "He.") for number in numbers)
    assert len(list(islice(score_pairs(exact, endless, batch_size=1), 20))) == 20
    assert next(numbers) == 2 * scoring.BATCHES_SORTED_TOGETHER


def test_perplexity_is_that_of_a_token_over_the_whole_corpus() -> None:
    total = CorpusScore()
    for log_probs in ((-1.0, -2.0, -1.5), (), (-0.5,)):
        total = total.plus(ScoredPair("", 0.0, sum(log_probs), (), log_probs, ()))
    assert (total.sentences, total.tokens, total.log_prob) == (3, 4, -5.0)
    assert total.perplexity == pytest.approx(math.exp(5.0 / 4))
    assert CorpusScore().perplexity == 1.0
    assert CorpusScore(1, 1, -1e5).perplexity == math.inf


def test_files_of_unequal_length_are_refused_before_the_first_pair(tmp_path: Path) -> None:
    for name, lines in (("a", "1\n2\n3\n"), ("b", "1\n2\n")):
        (tmp_path / name).write_text(lines)
    with (
        pytest.raises(DataError, match=r"a has 3 lines, but .*b has 2; line N of the one must translate"),
        open_pairs(tmp_path / "a", tmp_path / "b"),
    ):
        pytest.fail("a pair could have come")


def test_the_command_scores_what_translate_wrote_as_translate_did(tiny: TinyRun, tmp_path: Path) -> None:
    runs = [tiny.run, sibling(tiny.run, tmp_path / "sibling")]
    options = ["--ensemble", runs[1], "--combination", "log_linear"]
    lines = "".join(f"{line}\n" for line in [*tiny.sources[:15], ""])
    (tmp_path / "src").write_text(lines, encoding="utf-8")
    told = [
        json.loads(line)
        for line in nmt("translate", runs[0], tmp_path / "src", "--json", *options).text.split("\n")[:-1]
    ]
    (tmp_path / "tgt").write_text("".join(f"{one['text']}\n" for one in told), encoding="utf-8")
    result = nmt("score", runs[0], tmp_path / "src", tmp_path / "tgt", "--json", *options)
    assert result.code == 0, result.err
    scored = [json.loads(line) for line in result.text.split("\n")[:-1]]
    same = [(one, other) for one, other in zip(told, scored, strict=True) if one["tokens"] == other["tokens"]]
    assert len(same) > 8
    for one, other in same:
        assert other["text"] == one["text"]
        assert other["token_log_probs"] == pytest.approx(one["token_log_probs"], abs=1e-5)
        assert other["score"] == pytest.approx(one["score"], abs=1e-5)
    assert {len(one["alignment"]) == len(one["text"].split()) for one in scored if one["text"]} == {True}
    total = CorpusScore(16, sum(len(one["token_log_probs"]) for one in scored), sum(one["log_prob"] for one in scored))
    assert result.err.split()[-4:] == ["16", str(total.tokens), f"{total.log_prob:.2f}", f"{total.perplexity:.4f}"]

    filed = nmt("score", runs[0], tmp_path / "src", tmp_path / "tgt", "-o", tmp_path / "out", *options)
    assert filed.text == result.err
    assert (tmp_path / "out").read_text(encoding="utf-8") == result.text


def test_the_command_refuses_what_does_not_go_together(tiny: TinyRun, tmp_path: Path) -> None:
    src = tmp_path / "src"
    src.write_text("Er kommt.\n")
    (tmp_path / "short").write_text("")
    refused = nmt("score", tiny.run, src, tmp_path / "short", "-o", tmp_path / "out")
    assert refused.code == 1
    assert "src has 1 lines, but" in refused.err
    assert not (tmp_path / "out").exists()
    assert nmt("score", tiny.run, src, src, "--combination", "linear").code == 2
    assert nmt("score", tiny.run, src, src, "--json", "-o", tmp_path / "out").code == 2
    folder = nmt("score", tiny.run, src, src, "-o", tmp_path)
    assert folder.code == 1
    assert "not a file" in folder.err


def test_an_ensemble_of_runs_scores_as_its_models_do(tiny: TinyRun, tmp_path: Path) -> None:
    runs = [tiny.run, sibling(tiny.run, tmp_path / "sibling")]
    alone = [next(score_pairs(load(run, engine="exact"), tiny.pairs[:1])) for run in runs]
    [together] = score_pairs(load_ensemble(runs, engine="exact"), tiny.pairs[:1])
    for mean, *each in zip(together.token_log_probs, *(one.token_log_probs for one in alone), strict=True):
        assert math.exp(mean) == pytest.approx(sum(map(math.exp, each)) / 2, rel=1e-4)

"""Lexical shortlists: what they learn, and that each sentence has its own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy_engine import EOS, SUPPRESSED, VOCAB, assert_batch_mates_change_nothing, sentences, some_steps, toy

from nmt.engine import shortlist as shortlists
from nmt.engine.engines import engine_for
from nmt.engine.fast import FastEngine
from nmt.engine.product import FloatProduct
from nmt.engine.shortlist import Shortlist, build_shortlist
from nmt.errors import CheckpointError, RecipeError
from nmt.search.scores import LogProbs


def learned(pairs: list[tuple[list[int], list[int]]], **options: object) -> Shortlist:
    src, tgt = ([np.array(side, dtype=np.int64) for side in sides] for sides in zip(*pairs, strict=True))
    own = {"src_vocab_size": 20, "tgt_vocab_size": 30, "eos_id": EOS, "never": SUPPRESSED, "per_piece": 2}
    return build_shortlist(src, tgt, **(own | {"frequent": 1} | options))  # type: ignore[arg-type]


def random_shortlist(seed: int, per_piece: int = 4, frequent: int = 6) -> Shortlist:
    generator = torch.Generator().manual_seed(seed)
    table = torch.randint(4, VOCAB, (VOCAB, per_piece), generator=generator)
    table[torch.rand(table.shape, generator=generator) < 0.2] = -1
    return Shortlist(table, torch.cat([torch.tensor([EOS]), torch.randint(4, VOCAB, (frequent,), generator=generator)]))


def test_words_that_come_together_are_told_apart_from_those_that_come_with_everything() -> None:
    """Brown et al.'s point: 5 is always with 15, 6 with 16; 9 is in every target, as an article is."""
    pairs = [([5, 6], [15, 16, 9]), ([5, 7], [15, 17, 9]), ([6, 7], [16, 17, 9]), ([5], [15, 9]), ([], [9])] * 3
    table = learned(pairs).table
    assert [int(table[piece, 0]) for piece in (5, 6, 7)] == [15, 16, 17]
    assert int(table[EOS, 0]) == 9


def test_a_piece_that_was_never_seen_has_no_candidates_but_itself_where_vocabularies_are_joint() -> None:
    pairs = [([5], [15])]
    assert learned(pairs).table[8].tolist() == [-1, -1]
    joint = learned(pairs, copies=True, src_vocab_size=20, tgt_vocab_size=20).table
    assert joint[8].tolist() == [-1, -1, 8]
    assert joint[list(SUPPRESSED), -1].tolist() == [-1, -1, -1]


def test_eos_is_always_frequent_and_what_search_never_produces_is_not_there() -> None:
    found = learned([([5], [15, 1, 1, 1, 15, 16]), ([6], [1])], frequent=2)
    assert found.frequent.tolist() == [EOS, 15, 16]
    assert not torch.isin(found.table, torch.tensor(SUPPRESSED)).any()


def test_a_text_that_is_too_large_is_learned_from_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shortlists, "MAX_LINKS", 40)
    table = learned([([5], [15])] * 50 + [([6], [16])] * 50).table
    assert [int(table[piece, 0]) for piece in (5, 6)] == [15, 16]


def test_a_shortlist_is_read_back_as_it_was(tmp_path: Path) -> None:
    file, wanted = tmp_path / "list", random_shortlist(1)
    file.write_bytes(wanted.to_bytes())
    found = Shortlist.from_file(file, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)
    assert torch.equal(found.table, wanted.table)
    assert torch.equal(found.frequent, wanted.frequent)


@pytest.mark.parametrize(("src", "tgt"), [(VOCAB + 1, VOCAB), (VOCAB, VOCAB - 9)])
def test_a_shortlist_of_another_vocabulary_is_refused(tmp_path: Path, src: int, tgt: int) -> None:
    file = tmp_path / "list"
    file.write_bytes(Shortlist(torch.full((VOCAB, 1), VOCAB - 1), torch.tensor([EOS])).to_bytes())
    with pytest.raises(CheckpointError, match="list: not a shortlist for this model: its ids are not those"):
        Shortlist.from_file(file, src_vocab_size=src, tgt_vocab_size=tgt)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), lengths=st.lists(st.integers(1, 12), min_size=2, max_size=6))
def test_a_sentence_has_the_log_probs_of_the_model_among_what_its_own_pieces_allow(
    seed: int, lengths: list[int]
) -> None:
    model, sources, short = toy(seed), sentences(seed, lengths), random_shortlist(seed)
    engine = FastEngine(model, shortlist=short)
    src = torch.zeros(len(sources), max(lengths), dtype=torch.int64)
    for row, ids in enumerate(sources):
        src[row, : len(ids)] = torch.tensor(ids)
    own_lengths = torch.tensor(lengths)
    with torch.no_grad():
        found, _ = engine.step(torch.full((len(src),), 2), engine.start(src, own_lengths))
        wanted, _ = model.step(torch.full((len(src),), 2), model.start(src, own_lengths))
    for ids, ours, theirs in zip(sources, found.log_probs(), wanted, strict=True):
        allowed = {int(one) for piece in ids for one in short.table[piece] if one >= 0} | set(short.frequent.tolist())
        mask = torch.tensor([word in allowed for word in range(VOCAB)])
        renormalised = theirs.masked_fill(~mask, -torch.inf).log_softmax(0)
        torch.testing.assert_close(ours, renormalised, rtol=0, atol=3e-5)


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    lengths=st.lists(st.integers(1, 20), min_size=2, max_size=9),
    beam_size=st.integers(1, 3),
    kind=st.sampled_from(["fast", "int8"]),
)
def test_batch_mates_change_nothing(seed: int, lengths: list[int], beam_size: int, kind: str) -> None:
    engine = engine_for(toy(seed), kind, shortlist=random_shortlist(seed))  # type: ignore[arg-type]
    assert_batch_mates_change_nothing(engine, sentences(seed, lengths), beam_size, levels=kind == "int8")


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 10**6), rows=st.integers(1, 4), width=st.integers(1, 30), dead=st.booleans())
def test_the_best_ways_are_those_of_the_log_probs(seed: int, rows: int, width: int, dead: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    scope = FastEngine(toy(seed), shortlist=random_shortlist(seed, per_piece=2)).output.scope(
        torch.tensor([[5, 6, EOS], [7, EOS, 0]]), torch.tensor([3, 2])
    )
    scores = scope(torch.rand(2 * rows, 12, generator=generator) * 2 - 1)
    so_far = -torch.rand(2, rows, generator=generator)
    if dead:
        so_far[:, 1:] = -torch.inf
    options = {"width": width, "eos_id": EOS, "barred": torch.tensor([*SUPPRESSED, EOS, 9])}
    found, wanted = scores.ways(so_far, **options), LogProbs(scores.log_probs()).ways(so_far, **options)
    torch.testing.assert_close(found.totals, wanted.totals, rtol=0, atol=1e-5)
    torch.testing.assert_close(found.ends, wanted.ends, rtol=0, atol=1e-5)
    alive = found.totals > -torch.inf
    assert torch.equal(found.ids[alive], wanted.ids[alive])
    assert torch.equal(found.rows[alive], wanted.rows[alive])


def test_rows_that_are_crossed_and_sentences_that_leave_take_their_candidates_along() -> None:
    model, short, sources = toy(), random_shortlist(3), sentences(2, [5, 3, 9])
    batch = some_steps(FastEngine(model, pack=FloatProduct, shortlist=short), sources)
    for step in batch:
        torch.testing.assert_close(step.exp().sum(1), torch.ones(len(step)))
    never = batch[0][[0, 2]] == -torch.inf  # of the sentences that stay
    assert torch.equal(batch[3] == -torch.inf, never.repeat_interleave(2, dim=0))


def test_a_shortlist_without_an_engine_is_refused() -> None:
    with pytest.raises(RecipeError, match='a shortlist goes with the engines "fast" and "int8"'):
        engine_for(toy(), "exact", shortlist=random_shortlist(1))

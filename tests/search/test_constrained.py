"""Beam search under lexical constraints."""

from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BOS, EOS, FIRST_WORD, SUPPRESSED, ToyModel, ToyState, every_output, run_beam

from nmt.errors import NmtError, RecipeError
from nmt.search.beam import BeamOptions
from nmt.search.constrained import constrained_beam_search, shares
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LENGTH_PENALTIES, LengthPenalty
from nmt.search.phrases import Demand

AVERAGE = LengthPenalty("average")
Phrases = Sequence[Sequence[int]]

words = st.integers(FIRST_WORD, FIRST_WORD + 4)
phrase_lists = st.lists(st.lists(words, min_size=1, max_size=3), max_size=3)
penalties = st.sampled_from(list(LENGTH_PENALTIES)).map(lambda name: LengthPenalty(name, 0.8))
eos_bonuses = st.sampled_from([-2.0, 0.0, 3.0])
batches = st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 10), phrase_lists), min_size=1, max_size=4)


def run(
    model: ToyModel, seeds: Sequence[int], max_lengths: Sequence[int], options: BeamOptions, phrases: Sequence[Phrases]
) -> list[list[Hypothesis]]:
    return constrained_beam_search(
        model.step,
        ToyState.start(seeds),
        max_lengths=torch.tensor(max_lengths, dtype=torch.int64),
        options=options,
        phrases=phrases,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


def run_batch(
    model: ToyModel, batch: list[tuple[int, int, list[list[int]]]], options: BeamOptions
) -> list[list[Hypothesis]]:
    seeds, max_lengths, phrases = ([sentence[at] for sentence in batch] for at in range(3))
    return run(model, seeds, max_lengths, options, phrases)  # type: ignore[arg-type]


def fits(ids: tuple[int, ...], phrases: Phrases) -> bool:
    """Do all the phrases occur, none on a token of another? By trying every place."""
    if not phrases:
        return True
    phrase, *others = map(tuple, phrases)
    return any(
        ids[at : at + len(phrase)] == phrase
        and fits((*ids[:at], *[-1] * len(phrase), *ids[at + len(phrase) :]), others)
        for at in range(len(ids) - len(phrase) + 1)
    )


def most(ids: tuple[int, ...], phrases: Phrases) -> int:
    """How many tokens the phrases have that fit at once."""
    chosen = [[p for at, p in enumerate(phrases) if mask >> at & 1] for mask in range(2 ** len(phrases))]
    return max(sum(map(len, some)) for some in chosen if fits(ids, some))


@settings(max_examples=60, deadline=None)
@given(batch=batches, beam_size=st.integers(1, 5), glued=st.sets(words, max_size=3))
def test_no_glued_token_follows_a_phrase(
    batch: list[tuple[int, int, list[list[int]]]], beam_size: int, glued: set[int]
) -> None:
    """Where no phrase holds one; else it may be the next phrase, or the same one again, that it belongs to."""
    batch = [(seed, 10, [phrase for phrase in phrases if not glued & set(phrase)][:1]) for seed, _, phrases in batch]
    seeds, max_lengths, phrases = ([sentence[at] for sentence in batch] for at in range(3))
    found = constrained_beam_search(
        ToyModel().step,
        ToyState.start(seeds),
        max_lengths=torch.tensor(max_lengths),
        options=BeamOptions(beam_size, AVERAGE),
        phrases=phrases,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        glued_ids=glued,
    )
    for [best], (_, _, given_phrases) in zip(found, batch, strict=True):
        for phrase in map(tuple, given_phrases):
            ends = [at + len(phrase) for at in range(len(best.ids)) if best.ids[at : at + len(phrase)] == phrase]
            assert best.ids[ends[0] : ends[0] + 1] == () or best.ids[ends[0]] not in glued


@settings(max_examples=60, deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, beam_size=st.integers(1, 6), data=st.data())
def test_every_phrase_occurs_wherever_there_is_room_for_all(
    batch: list[tuple[int, int, list[list[int]]]],
    penalty: LengthPenalty,
    eos_bonus: float,
    beam_size: int,
    data: st.DataObject,
) -> None:
    model, n_best = ToyModel(eos_bonus=eos_bonus), data.draw(st.integers(1, beam_size))
    found = run_batch(model, batch, BeamOptions(beam_size, penalty, n_best))
    for hypotheses, (seed, max_length, phrases) in zip(found, batch, strict=True):
        met = {most(hypothesis.ids, phrases) for hypothesis in hypotheses}
        assert len(met) == 1
        if max_length >= sum(map(len, phrases)):
            assert met == {sum(map(len, phrases))}
        else:
            assert all(hypothesis.truncated and len(hypothesis.ids) == max_length for hypothesis in hypotheses)
        assert 1 <= len(hypotheses) <= n_best
        assert len({hypothesis.ids for hypothesis in hypotheses}) == len(hypotheses)
        scores = [hypothesis.score for hypothesis in hypotheses]
        assert scores == sorted(scores, reverse=True)
        for hypothesis in hypotheses:
            assert set(hypothesis.ids) <= set(model.words)
            assert list(hypothesis.token_log_probs) == model.token_log_probs(seed, hypothesis.ids)
            assert hypothesis.score == pytest.approx(hypothesis.log_prob / penalty(len(hypothesis.ids) + 1))


@pytest.mark.parametrize("name", LENGTH_PENALTIES)
@pytest.mark.parametrize("n_best", [1, 5, 40])
def test_a_wide_beam_equals_brute_force(name: str, n_best: int) -> None:
    model, penalty = ToyModel(vocab_size=FIRST_WORD + 3), LengthPenalty(name, 0.8)
    phrases = [[[4]], [[5, 6], [6]], [[4, 5], [5, 6]], [[6], [6]], [[4, 4, 5]]]
    max_lengths, seeds = [4, 4, 4, 3, 4], [3, 1, 4, 1, 5]
    found = run(model, seeds, max_lengths, BeamOptions(200, penalty, n_best), phrases)
    for hypotheses, seed, max_length, given_phrases in zip(found, seeds, max_lengths, phrases, strict=True):
        outputs = every_output(model, seed, max_length, penalty)
        wanted = [(ids, score) for ids, score in outputs if fits(ids, given_phrases)][:n_best]
        assert [hypothesis.ids for hypothesis in hypotheses] == [ids for ids, _ in wanted]
        assert [hypothesis.score for hypothesis in hypotheses] == pytest.approx([score for _, score in wanted])


@pytest.mark.parametrize("phrases", [[[4, 5, 6, 4]], [[4, 5], [6, 6]], [[5], [6, 4], [4]]])
def test_where_the_limit_comes_first_the_best_of_those_that_met_most_are_returned(phrases: Phrases) -> None:
    model = ToyModel(vocab_size=FIRST_WORD + 3)
    (found,) = run(model, [7], [3], BeamOptions(200, AVERAGE, 4), [phrases])
    longest = [output for output in every_output(model, 7, 3, AVERAGE) if len(output[0]) == 3]
    best = max(most(ids, phrases) for ids, _ in longest)
    assert [hypothesis.ids for hypothesis in found] == [ids for ids, _ in longest if most(ids, phrases) == best][:4]
    assert all(hypothesis.truncated for hypothesis in found)


@settings(max_examples=40, deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, n_best=st.integers(1, 4))
def test_batch_mates_never_change_a_result_and_free_sentences_get_plain_search(
    batch: list[tuple[int, int, list[list[int]]]], penalty: LengthPenalty, eos_bonus: float, n_best: int
) -> None:
    model, options = ToyModel(eos_bonus=eos_bonus), BeamOptions(4, penalty, n_best)
    together = run_batch(model, batch, options)
    assert together == [run_batch(model, [sentence], options)[0] for sentence in batch]
    for hypotheses, (seed, max_length, phrases) in zip(together, batch, strict=True):
        if not phrases:
            assert hypotheses == run_beam(model, [seed], [max_length], options)[0]


@settings(max_examples=40, deadline=None)
@given(batch=batches, penalty=penalties, eos_bonus=eos_bonuses, n_best=st.integers(1, 4))
def test_stopping_early_never_changes_a_result(
    batch: list[tuple[int, int, list[list[int]]]], penalty: LengthPenalty, eos_bonus: float, n_best: int
) -> None:
    model = ToyModel(eos_bonus=eos_bonus)
    early = run_batch(model, batch, BeamOptions(4, penalty, n_best))
    assert early == run_batch(model, batch, BeamOptions(4, penalty, n_best, stop_early=False))


def test_stopping_early_saves_steps_and_keeps_all_that_are_asked_for() -> None:
    early, late, penalty = ToyModel(eos_bonus=3.0), ToyModel(eos_bonus=3.0), LengthPenalty("none")
    found = run(early, range(10), [9] * 10, BeamOptions(6, penalty, 4), [[[5]]] * 10)
    assert found == run(late, range(10), [9] * 10, BeamOptions(6, penalty, 4, stop_early=False), [[[5]]] * 10)
    assert sum(early.rows_seen) < sum(late.rows_seen)


def test_a_sentence_is_done_when_as_many_as_it_has_beams_have_ended() -> None:
    model = ToyModel(eos_bonus=4.0)
    run(model, [1, 2], [40, 40], BeamOptions(3, AVERAGE, stop_early=False), [[[5]]] * 2)
    assert len(model.rows_seen) < 20


@pytest.mark.parametrize(("beam_size", "ends"), [(2, False), (3, True)])
def test_a_hypothesis_ends_only_within_the_share_of_its_bank(beam_size: int, ends: bool) -> None:
    model = ToyModel()
    likely = {(BOS,): {4: 0.5, 5: 0.3}, (BOS, 4): {5: 0.6, EOS: 0.3}, (BOS, 5): {6: 0.5}}
    for prefix in [(BOS,), *((BOS, word) for word in model.words)]:
        probs = torch.full((9,), 0.01)
        for token, prob in likely.get(prefix, {}).items():
            probs[token] = prob
        model.tables[1, prefix] = probs.log()
    (found,) = run(model, [1], [3], BeamOptions(beam_size, AVERAGE, beam_size, stop_early=False), [[[4]]])
    assert ((4,) in [hypothesis.ids for hypothesis in found]) == ends


@pytest.mark.parametrize("beam_size", [1, 3, 6])
def test_as_many_hypotheses_as_asked_for_where_there_is_room(beam_size: int) -> None:
    found = run(ToyModel(), range(8), [12] * 8, BeamOptions(beam_size, AVERAGE, beam_size), [[[4, 5], [8]]] * 8)
    assert [len(hypotheses) for hypotheses in found] == [beam_size] * 8


@settings(max_examples=300, deadline=None)
@given(
    phrases=st.lists(st.lists(st.integers(4, 6), min_size=1, max_size=3), min_size=1, max_size=4),
    ids=st.lists(st.integers(4, 7), max_size=9),
)
def test_progress_is_what_fits_however_phrases_overlap_or_begin_alike(phrases: Phrases, ids: list[int]) -> None:
    progress = Demand(phrases).start
    for token in ids:
        before, progress = progress, progress.after(token)
        assert (progress.met > before.met) <= (token in before.next_ids)
    assert progress.whole == most(tuple(ids), phrases)
    assert progress.complete == fits(tuple(ids), phrases)
    assert progress.whole <= progress.met


def test_a_phrase_left_half_done_counts_no_longer() -> None:
    met = Demand([[4, 5, 6], [7]]).start
    assert [met.met, (met := met.after(4)).met, (met := met.after(5)).met, met.after(4).met, met.after(7).met] == [
        *(0, 1, 2),
        *(1, 1),
    ]


def test_phrases_that_overlap_in_a_chain_take_bounded_time() -> None:
    progress = Demand([[token, token + 1] for token in range(4, 40)]).start
    for token in range(4, 41):
        progress = progress.after(token)
    assert progress.whole == 36


def test_a_phrase_that_repeats_itself_is_met_however_often_it_may_have_begun() -> None:
    phrase = [4, 5] * 60
    progress = Demand([phrase]).start
    for token in [*phrase, *phrase]:
        progress = progress.after(token)
    assert progress.complete


class Counted(list[int]):
    """A list that counts how often one of its items is read."""

    reads = 0

    def __getitem__(self, at: int) -> int:  # type: ignore[override]
        self.reads += 1
        return super().__getitem__(at)


@pytest.mark.parametrize("full", [range(5), range(395, 400), range(0, 400, 80), range(400)])
def test_the_work_of_sharing_grows_no_faster_than_the_banks(full: Sequence[int]) -> None:
    """A glossary's term of 400 tokens makes as many banks; every position shares them out twice."""
    counts = Counted(3 if bank in full else 0 for bank in range(401))
    assert sum(shares(counts, 5)) == 5
    assert counts.reads < 10 * len(counts)


@pytest.mark.parametrize(
    ("counts", "beam_size", "wanted"),
    [
        ([9, 9, 9], 6, [2, 2, 2]),
        ([9, 9, 9], 8, [2, 2, 4]),  # what remains is the last bank's
        ([9, 0, 9], 6, [4, 0, 2]),  # to the nearest
        ([9, 1, 0], 6, [5, 1, 0]),
        ([1, 1, 9], 6, [1, 1, 4]),
        ([1, 0, 1], 6, [1, 0, 1]),
        ([5, 3, 0, 0], 2, [0, 2, 0, 0]),  # fewer beams than banks: first those that are furthest
        ([7], 5, [5]),
    ],
)
def test_a_beam_is_shared_out_evenly_and_no_place_is_left_free(
    counts: list[int], beam_size: int, wanted: list[int]
) -> None:
    assert shares(counts, beam_size) == wanted
    assert sum(wanted) == min(beam_size, sum(counts))


def test_a_token_that_the_model_holds_impossible_is_not_forced() -> None:
    model = ToyModel()
    for prefix in [(BOS,), *((BOS, word) for word in model.words)]:
        model.log_probs(1, prefix)[4] = -torch.inf
    (found,) = run(model, [1], [2], BeamOptions(3, AVERAGE), [[[4], [5]]])
    assert found[0].truncated and 5 in found[0].ids and 4 not in found[0].ids


def test_a_sentence_that_nothing_can_go_on_is_ended_with_what_it_has() -> None:
    model = ToyModel()
    model.log_probs(1, (BOS,))[FIRST_WORD:] = -torch.inf
    (found,) = run(model, [1], [5], BeamOptions(3, AVERAGE), [[[4]]])
    assert [(hypothesis.ids, hypothesis.truncated) for hypothesis in found] == [((), True)]


def test_a_sentence_without_any_possible_hypothesis_is_an_error() -> None:
    model = ToyModel()
    model.log_probs(2, (BOS,))[EOS] = -torch.inf
    with pytest.raises(NmtError, match="sentence 1 of the batch"):
        run(model, [1, 2], [0, 0], BeamOptions(2, AVERAGE), [[[4]], [[4]]])


@pytest.mark.parametrize(
    ("phrase", "match"),
    [([], "sentence 1: .*empty"), ([4, 3], r"ids \[3\] can never"), ([EOS], r"ids \[2\] can never")],
)
def test_phrases_that_no_output_can_hold_are_refused(phrase: list[int], match: str) -> None:
    with pytest.raises(RecipeError, match=match):
        run(ToyModel(), [1, 2], [3, 3], BeamOptions(2, AVERAGE), [[[4]], [phrase]])


def test_no_sentences_give_no_hypotheses() -> None:
    assert run(ToyModel(), [], [], BeamOptions(2, AVERAGE), []) == []

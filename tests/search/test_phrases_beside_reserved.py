"""Phrases and reserved ids that one output must hold: neither takes the room of the other."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from toy import BOS, EOS, SUPPRESSED, ToyModel, ToyState

from nmt.search.beam import BeamOptions
from nmt.search.constrained import constrained_beam_search
from nmt.search.controls import Controls, under
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty

RESERVED = (7, 8)
phrase_lists = st.lists(st.lists(st.integers(4, 6), min_size=1, max_size=3), min_size=1, max_size=2)
allowances = st.fixed_dictionaries({}, optional={7: st.integers(0, 2), 8: st.integers(0, 2)})
sentences = st.lists(st.tuples(st.integers(0, 10**6), phrase_lists, allowances), min_size=1, max_size=3)
Sentence = tuple[int, list[list[int]], dict[int, int]]


def search(model: ToyModel, batch: list[Sentence], spare: int, beam_size: int) -> list[list[Hypothesis]]:
    """With room for all that each must hold, and `spare` tokens."""
    rooms = [sum(allowance.values()) for _, _, allowance in batch]
    phrases = [given_phrases for _, given_phrases, _ in batch]
    limits = [spare + room + sum(map(len, own)) for room, own in zip(rooms, phrases, strict=True)]
    step, state = under(
        Controls(allowances=[allowance for _, _, allowance in batch], reserved_ids=RESERVED),
        model.step,
        ToyState.start([seed for seed, _, _ in batch]),
        eos_id=EOS,
        rows=len(batch),
        max_lengths=torch.tensor(limits),
        suppress_ids=SUPPRESSED,
    )
    return constrained_beam_search(
        step,
        state,
        max_lengths=torch.tensor(limits),
        options=BeamOptions(beam_size, LengthPenalty("average"), beam_size),
        phrases=phrases,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


def occurs(ids: tuple[int, ...], phrase: list[int]) -> bool:
    return any(ids[at : at + len(phrase)] == tuple(phrase) for at in range(len(ids)))


@settings(max_examples=60, deadline=None)
@given(
    batch=sentences,
    beam_size=st.integers(1, 5),
    wish=st.tuples(st.just(-9.0), st.integers(0, 4)) | st.tuples(st.sampled_from([0.0, 3.0]), st.just(12)),
)
def test_all_phrases_and_all_reserved_ids_come_where_there_is_room_for_both(
    batch: list[Sentence], beam_size: int, wish: tuple[float, int]
) -> None:
    """A model that would end sooner takes reserved ids in the midst of a phrase, and needs room to begin it again."""
    eos_bonus, spare = wish
    found = search(ToyModel(eos_bonus=eos_bonus), batch, spare, beam_size)
    for hypotheses, (_, phrases, allowance) in zip(found, batch, strict=True):
        for hypothesis in hypotheses:
            assert all(occurs(hypothesis.ids, phrase) for phrase in phrases)
            assert all(hypothesis.ids.count(token) == allowance.get(token, 0) for token in RESERVED)

"""A tiny table-driven model for tests of search, and slow searches in plain Python to hold the fast ones against."""

import itertools
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from nmt.search.beam import BeamOptions, beam_search
from nmt.search.greedy import greedy_search
from nmt.search.hypothesis import Hypothesis
from nmt.search.penalty import LengthPenalty

PAD, BOS, EOS, UNK = 0, 1, 2, 3
SUPPRESSED = (PAD, BOS, UNK)
FIRST_WORD = 4

Scored = tuple[tuple[int, ...], float]


@dataclass(frozen=True)
class ToyState:
    """Row by row: which sentence (its place in the batch and its seed), and all that came before."""

    sentences: tuple[tuple[int, int], ...]
    prefixes: tuple[tuple[int, ...], ...]

    @classmethod
    def start(cls, seeds: Sequence[int]) -> "ToyState":
        return cls(tuple(enumerate(seeds)), ((),) * len(seeds))

    def select(self, rows: Tensor) -> "ToyState":
        chosen = rows.tolist()
        sentences = tuple(self.sentences[row] for row in chosen)
        groups = [(key, len(list(group))) for key, group in itertools.groupby(sentences)]
        assert groups == sorted(set(groups)), "a sentence's rows are contiguous, and sentences keep their order"
        assert len({size for _, size in groups}) == 1, "every sentence has equally many rows"
        return ToyState(sentences, tuple(self.prefixes[row] for row in chosen))


@dataclass
class ToyModel:
    """log_probs that hang on the sentence's seed and the whole prefix; `eos_bonus` makes short outputs likelier."""

    vocab_size: int = 9
    eos_bonus: float = 0.0
    spread: float = 2.0
    rows_seen: list[int] = field(default_factory=list)  # N at each step
    tables: dict[tuple[int, tuple[int, ...]], Tensor] = field(default_factory=dict)

    def log_probs(self, seed: int, prefix: tuple[int, ...]) -> Tensor:
        """(V,) of what follows `prefix`, which starts with bos."""
        if (seed, prefix) not in self.tables:
            source = random.Random(f"{seed} {prefix}")
            logits = [source.gauss(0, self.spread) for _ in range(self.vocab_size)]
            logits[EOS] += self.eos_bonus
            self.tables[seed, prefix] = torch.tensor(logits).log_softmax(0)
        return self.tables[seed, prefix]

    def step(self, prev_ids: Tensor, state: ToyState) -> tuple[Tensor, ToyState]:
        assert prev_ids.dtype == torch.int64
        assert not torch.is_grad_enabled(), "a search must not keep the graph of every step"
        self.rows_seen.append(len(prev_ids))
        ids = prev_ids.tolist()
        prefixes = tuple((*prefix, token) for prefix, token in zip(state.prefixes, ids, strict=True))
        tables = [self.log_probs(seed, prefix) for (_, seed), prefix in zip(state.sentences, prefixes, strict=True)]
        return torch.stack(tables), ToyState(state.sentences, prefixes)

    def token_log_probs(self, seed: int, ids: Sequence[int]) -> list[float]:
        """Those of `ids` and the eos after them, one lookup at a time."""
        return [
            float(self.log_probs(seed, (BOS, *ids[:position]))[token]) for position, token in enumerate([*ids, EOS])
        ]

    @property
    def words(self) -> range:
        return range(FIRST_WORD, self.vocab_size)


def run_greedy(
    model: ToyModel, seeds: Sequence[int], max_lengths: Sequence[int], penalty: LengthPenalty
) -> list[Hypothesis]:
    return greedy_search(
        model.step,
        ToyState.start(seeds),
        max_lengths=torch.tensor(max_lengths, dtype=torch.int64),
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
        penalty=penalty,
    )


def run_beam(
    model: ToyModel, seeds: Sequence[int], max_lengths: Sequence[int], options: BeamOptions
) -> list[list[Hypothesis]]:
    return beam_search(
        model.step,
        ToyState.start(seeds),
        max_lengths=torch.tensor(max_lengths, dtype=torch.int64),
        options=options,
        bos_id=BOS,
        eos_id=EOS,
        suppress_ids=SUPPRESSED,
    )


def every_output(model: ToyModel, seed: int, max_length: int, penalty: LengthPenalty) -> list[Scored]:
    """All outputs of up to max_length words with their scores, best first."""
    outputs = []
    for length in range(max_length + 1):
        for ids in itertools.product(model.words, repeat=length):
            outputs.append((ids, sum(model.token_log_probs(seed, ids)) / penalty(length + 1)))
    return sorted(outputs, key=lambda output: -output[1])


def plain_beam(model: ToyModel, seed: int, max_length: int, options: BeamOptions) -> list[Scored]:
    """Beam search of one sentence with lists and a sort, to the letter of the rule; no early stop."""
    live: list[Scored] = [((), 0.0)]
    finished: list[Scored] = []
    for position in range(max_length + 1):
        candidates = [
            ((*ids, token), log_prob + float(model.log_probs(seed, (BOS, *ids))[token]))
            for ids, log_prob in live
            for token in (EOS, *model.words)
            if position < max_length or token == EOS
        ]
        candidates = sorted(candidates, key=lambda candidate: -candidate[1])[: 2 * options.beam_size]
        finished += [
            (ids[:-1], log_prob / options.penalty(position + 1))
            for ids, log_prob in candidates[: options.beam_size]
            if ids[-1] == EOS
        ]
        live = [candidate for candidate in candidates if candidate[0][-1] != EOS][: options.beam_size]
        if len(finished) >= options.beam_size:
            break
    return sorted(finished, key=lambda output: -output[1])[: options.n_best]

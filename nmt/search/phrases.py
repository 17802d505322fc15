"""What a hypothesis has met of the phrases that must stand in it."""

from collections import Counter
from collections.abc import Sequence

# One way to read the tokens so far: how often each kind of phrase is met whole, and the kind that is under way with how
# many of its tokens; (-1, 0): none.
Reading = tuple[tuple[int, ...], int, int]
MOST_READINGS = 32  # of either sort; phrases that overlap each other in a chain would have no end of them


class Progress:
    """What the tokens of a hypothesis have met of its sentence's phrases; equal for all that can go on alike.

    met: tokens of phrases, those of one that is under way counted. whole: only those of phrases that are complete.
    complete: nothing is missing. next_ids: the tokens that would begin a phrase, or go on with one.

    All readings are followed at once, where Post and Vilar follow one. So no phrase is missed because another one with
    the same beginning was taken for it (Hu et al. 2019 share prefixes in a trie), or because it begins inside one that
    failed. A phrase that is left half done is not met at all: the reading in which it was never begun remains.
    """

    def __init__(self, demand: "Demand", readings: frozenset[Reading]) -> None:
        self._demand = demand
        self._readings = readings
        self._after: dict[int, Progress] = {}
        self.met = max(demand.whole(reading) + reading[2] for reading in readings)
        self.whole = max(map(demand.whole, readings))
        self.complete = self.whole == demand.tokens
        self.next_ids = sorted({demand.kinds[kind][at] for reading in readings for kind, at in self._open(reading)})

    def _open(self, reading: Reading) -> list[tuple[int, int]]:
        """The kinds that may take the next token, and which of their tokens that is."""
        met, kind, offset = reading
        if kind >= 0:
            return [(kind, offset)]
        return [(kind, 0) for kind, times in enumerate(self._demand.times) if met[kind] < times]

    def after(self, token: int) -> "Progress":
        """What is met when `token` follows."""
        if token not in self._after:
            self._after[token] = self._demand.progress(self._read(token))
        return self._after[token]

    def _read(self, token: int) -> set[Reading]:
        found = set()
        for reading in self._readings:
            met, under_way, _ = reading
            if under_way < 0:
                found.add(reading)
            for kind, at in self._open(reading):
                phrase = self._demand.kinds[kind]
                if phrase[at] == token and at + 1 < len(phrase):
                    found.add((met, kind, at + 1))
                elif phrase[at] == token:
                    found.add(((*met[:kind], met[kind] + 1, *met[kind + 1 :]), -1, 0))
        return found


class Demand:
    """The phrases of a sentence; one that is given twice must occur twice, side by side or apart, never overlapping."""

    def __init__(self, phrases: Sequence[Sequence[int]]) -> None:
        counted = Counter(tuple(phrase) for phrase in phrases)
        self.kinds = tuple(counted)
        self.times = tuple(counted.values())
        self.tokens = sum(map(len, phrases))
        self._known: dict[frozenset[Reading], Progress] = {}
        self.start = self.progress({((0,) * len(self.kinds), -1, 0)})

    def progress(self, readings: set[Reading]) -> Progress:
        """The one for these readings, without those that another one beats whatever follows."""
        best = [one for one in readings if not any(_beats(other, one) for other in readings)]
        best.sort(key=lambda one: (-self.whole(one) - one[2], one))  # those that have come furthest are kept
        idle, begun = ([one for one in best if (one[1] >= 0) == wanted] for wanted in (False, True))
        kept = frozenset(idle[:MOST_READINGS] + begun[:MOST_READINGS])
        if kept not in self._known:
            self._known[kept] = Progress(self, kept)
        return self._known[kept]

    def whole(self, reading: Reading) -> int:
        """How many tokens the phrases have that it has met whole."""
        return sum(times * len(kind) for times, kind in zip(reading[0], self.kinds, strict=True))


def _beats(one: Reading, other: Reading) -> bool:
    """Has `one` met all that `other` has, and all that it would have with its phrase complete?"""
    (met, kind, offset), (met_by_other, other_kind, other_offset) = one, other
    if one == other or (kind >= 0 and (kind, offset) != (other_kind, other_offset)):
        return False
    extra = -1 if kind >= 0 else other_kind
    return all(ours >= theirs + (at == extra) for at, (ours, theirs) in enumerate(zip(met, met_by_other, strict=True)))

"""Test sentences that training saw."""

from collections.abc import Mapping

from nmt.data.cache import Cache
from nmt.data.corpus import Corpus, Watch, lines

_VERSION = 1  # of what is counted


def count_overlaps(train: Corpus, others: Mapping[str, Corpus], *, watch: Watch | None = None) -> dict[str, int]:
    """How many pairs of each corpus have a source side that occurs in `train`, runs of white space taken as one space.

    The source alone decides: a model that saw the sentence in training has an unfair start whatever the reference says.
    Blank sources do not count. Memory grows with the others only; `train` is read once, and counts are remembered.
    """
    cache = Cache(train.arrow.parent)
    keys = {name: f"overlap {_VERSION} {train.fingerprint} {other.fingerprint}" for name, other in others.items()}
    counts = {name: cache.recall(key) for name, key in keys.items()}
    texts = {name: _tidy_sources(others[name]) for name, count in counts.items() if count is None}
    wanted = set().union(*texts.values()) - {""}
    seen: set[str] = set()
    done = 0
    for block in lines(train, "src") if wanted else ():
        seen.update(tidy for tidy in (" ".join(src.split()) for src in block) if tidy in wanted)
        done += len(block)
        if watch:
            watch(done, len(train.pairs))
    for name, sources in texts.items():
        counts[name] = sum(src in seen for src in sources)
        cache.remember(keys[name], counts[name])
    return counts


def _tidy_sources(corpus: Corpus) -> list[str]:
    return [" ".join(src.split()) for block in lines(corpus, "src") for src in block]

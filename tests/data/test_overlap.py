"""The laws of counting test sentences that training saw."""

import pytest
from toy_pairs import write

from nmt.data import overlap
from nmt.data.overlap import count_overlaps


@pytest.fixture
def corpora(folder, load):
    write(
        folder,
        {"train.tsv": "ein  Satz\tone\n\t\nzwei\ttwo\n", "valid.tsv": " ein Satz\tother\nein Satz\to\n\t\nneu\ttwo\n"},
    )
    return load("train.tsv"), load("valid.tsv")


def test_overlap_counts_pairs_by_their_source_whatever_the_spaces_and_the_target(corpora):
    train, valid = corpora
    assert count_overlaps(train, {"valid": valid, "again": train}) == {"valid": 2, "again": 2}
    assert count_overlaps(valid, {"t": train}) == {"t": 1}


def test_counts_are_remembered_for_these_two_texts_and_no_others(corpora, folder, load, monkeypatch):
    train, valid = corpora
    told = []
    first = count_overlaps(train, {"valid": valid}, watch=lambda done, total: told.append((done, total)))
    assert told == [(3, 3)]
    monkeypatch.setattr(overlap, "lines", None)
    assert count_overlaps(train, {"renamed": valid}) == {"renamed": first["valid"]}
    write(folder, {"valid.tsv": "zwei\ttwo\n"})
    with pytest.raises(TypeError):
        count_overlaps(train, {"valid": load("valid.tsv")})

"""Ids to what a recurrent layer reads."""

import pytest
import torch
from torch import Tensor, nn

from nmt.model.embedding import Embedder, summed_last
from nmt.model.loss import full_loss

VOCAB, EMBED = 11, 64
IDS = torch.tensor([[5, 6, 7, 5], [9, 9, 0, 1], [3, 3, 3, 3]])


def new_embedder(*, dropout: float = 0.0, dropout_kind: str = "locked", word_dropout: float = 0.0) -> Embedder:
    torch.manual_seed(3)
    embedding = nn.Embedding(VOCAB, EMBED)
    nn.init.normal_(embedding.weight, std=EMBED**-0.5)
    return Embedder(embedding, dropout=dropout, dropout_kind=dropout_kind, word_dropout=word_dropout)


def test_embeddings_enter_halfway_between_their_own_variance_and_1() -> None:
    """They are drawn with variance 1 / E, so that they can be output weights too."""
    embedder = new_embedder()
    everything = embedder(torch.arange(VOCAB)[None])
    torch.testing.assert_close(everything[0], embedder.embedding.weight * EMBED**0.25)
    assert float(everything.detach().var()) == pytest.approx(EMBED**-0.5, rel=0.1)
    assert embedder.dim == EMBED


def test_a_step_is_a_position_without_dropout_even_in_training() -> None:
    embedder = new_embedder(dropout=0.5, word_dropout=0.5)
    for position in range(IDS.size(1)):
        assert torch.equal(embedder.step(IDS[:, position]), new_embedder()(IDS)[:, position])


def test_both_dropouts_are_off_in_evaluation() -> None:
    embedder = new_embedder(dropout=0.5, word_dropout=0.5).eval()
    assert torch.equal(embedder(IDS), new_embedder()(IDS))


@pytest.mark.parametrize("kind", ["locked", "plain"])
def test_dropout_takes_features(kind: str) -> None:
    dropped = new_embedder(dropout=0.5, dropout_kind=kind)(IDS) == 0
    assert dropped.any(dim=-1).all()
    assert not dropped.all(dim=-1).any()
    locked = all(torch.equal(dropped[:, 0], dropped[:, position]) for position in range(IDS.size(1)))
    assert locked is (kind == "locked")


def test_word_dropout_takes_words() -> None:
    embedder = new_embedder(word_dropout=0.5)
    out, whole = embedder(IDS), new_embedder()(IDS)
    kept = out.any(dim=-1)
    assert 0 < kept.sum() < IDS.numel()
    assert torch.equal(out[kept], whole[kept])


def test_rows_looked_up_are_added_to_a_gradient_of_every_row_where_it_lies() -> None:
    embedder = new_embedder()
    weight, seen = embedder.embedding.weight, list[int]()

    def gradient(of_output: Tensor) -> Tensor:
        weight.grad = None
        readouts, bias = embedder(IDS).flatten(0, 1) + embedder(IDS.flip(0)).sum(), torch.zeros(VOCAB)
        full_loss(readouts, IDS.flatten(), of_output, bias, label_smoothing=0.1).total.backward()
        assert weight.grad is not None
        return weight.grad

    expected = gradient(weight)
    embedder.embedding.sparse, same = True, summed_last(weight)
    same.register_hook(lambda of_every_row: seen.append(of_every_row.data_ptr()))
    found = gradient(same)
    assert [found.data_ptr()] == seen
    torch.testing.assert_close(found, expected)

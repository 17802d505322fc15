"""The gradient of a batch does not depend on how it is cut."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import pytest
import torch
from torch import Tensor

from nmt.data.batches import Batch, collate
from nmt.errors import RecipeError, TrainingError
from nmt.model.build import AnyModel, build_model
from nmt.model.loss import smoothed_loss
from nmt.recipe import ModelSection, TrainSection
from nmt.train.distributed import ALONE, Team
from nmt.train.gradients import Gradients

VOCAB = 14
PAIRS = [([4 + (i * k) % 10 for k in range(1 + i % 5)], [5 + (i + k) % 9 for k in range(i % 6)]) for i in range(11)]
NO_MEMORY = {
    "gpu": torch.OutOfMemoryError("CUDA out of memory."),
    "cpu": RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    "onednn": RuntimeError("could not create a primitive"),
    "c++": RuntimeError("std::bad_alloc"),
    "python": MemoryError(),
}


def new_model() -> AnyModel:
    torch.manual_seed(3)
    section = ModelSection(embed_dim=8, encoder_dim=6, decoder_dim=10, dropout=0.0)
    return build_model(section, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)


@pytest.fixture
def batch() -> Batch:
    return collate(*zip(*PAIRS, strict=True))


def found(batch: Batch, team: Team = ALONE, model: AnyModel | None = None, **keys: Any) -> tuple[Tensor, Tensor, int]:
    """The gradient as one vector; total and nll; tokens."""
    model = model or new_model()
    loss = Gradients(TrainSection(**keys), model, team)(batch, sampled=False)
    parts = [p.grad if p.grad is not None else torch.zeros_like(p) for p in model.parameters()]
    return torch.cat([part.flatten() for part in parts]), torch.stack([loss.total, loss.nll]), loss.tokens


def plain(batch: Batch) -> tuple[Tensor, Tensor]:
    """The same by hand, in one piece."""
    model = new_model()
    out = torch.cat([batch.tgt_out[i, :n] for i, n in enumerate(batch.tgt_lengths)])
    logits = model(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
    loss = smoothed_loss(logits, out, label_smoothing=0.1)
    (loss.total / len(out)).backward()  # type: ignore[no-untyped-call]
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    return gradient, torch.stack([loss.total.detach(), loss.nll])


@contextmanager
def memory_for(model: AnyModel, pairs: int, error: Exception) -> Iterator[None]:
    """Half of the work is done before memory runs out, as when the backward pass needs more than the forward one."""
    real = model.readouts

    def readouts(src: Tensor, *rest: Tensor) -> Tensor:
        if src.size(0) > pairs:
            for parameter in model.parameters():
                parameter.grad = torch.ones_like(parameter)
            raise error
        return real(src, *rest)

    with mock.patch.object(model, "readouts", readouts):
        yield


@pytest.mark.parametrize("pieces", [1, 2, 3, 5, 100])
def test_it_is_that_of_the_mean_loss_in_however_many_pieces(batch: Batch, pieces: int) -> None:
    gradient, sums, tokens = found(batch, accumulate=pieces)
    wanted, wanted_sums = plain(batch)
    torch.testing.assert_close(gradient, wanted)
    torch.testing.assert_close(sums, wanted_sums)
    assert tokens == sum(len(tgt) + 1 for _, tgt in PAIRS)


@pytest.mark.parametrize("size", [2, 3, 20])
def test_the_gradients_of_all_processes_add_up_to_it(batch: Batch, size: int) -> None:
    """Also where there are more processes than pairs."""
    with mock.patch.object(Team, "add_up"):
        parts = [found(batch, Team(rank, size)) for rank in range(size)]
    wanted, wanted_sums = plain(batch)
    torch.testing.assert_close(sum(gradient for gradient, _, _ in parts), wanted)
    torch.testing.assert_close(sum(sums for _, sums, _ in parts), wanted_sums)
    assert {tokens for _, _, tokens in parts} == {sum(len(tgt) + 1 for _, tgt in PAIRS)}


def test_what_is_added_up_comes_back_into_every_parameter(batch: Batch) -> None:
    """Doubling stands for a second process with the same share."""
    with mock.patch.object(Team, "add_up", lambda self, tensors: [tensor.mul_(2) for tensor in tensors]):
        twice, twice_sums, _ = found(batch, Team(0, 2))
    with mock.patch.object(Team, "add_up"):
        once, once_sums, _ = found(batch, Team(0, 2))
    assert torch.equal(twice, 2 * once)
    assert torch.equal(twice_sums, 2 * once_sums)
    assert once.abs().sum() > 0


@pytest.mark.parametrize("kind", NO_MEMORY)
@pytest.mark.parametrize("pairs", [1, 4])
def test_where_memory_runs_out_it_is_taken_in_more_pieces_from_then_on(batch: Batch, pairs: int, kind: str) -> None:
    model = new_model()
    gradients = Gradients(TrainSection(), model, ALONE)
    with memory_for(model, pairs, NO_MEMORY[kind]):
        loss = gradients(batch, sampled=False)
    gradient = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    wanted, wanted_sums = plain(batch)
    torch.testing.assert_close(gradient, wanted)
    torch.testing.assert_close(torch.stack([loss.total, loss.nll]), wanted_sums)
    assert gradients.pieces >= len(PAIRS) / pairs


@pytest.mark.parametrize("kind", NO_MEMORY)
def test_memory_for_not_even_one_pair_is_a_fault_with_advice(batch: Batch, kind: str) -> None:
    """And with the words of whoever wanted it: some may mean another thing."""
    model, words = new_model(), str(NO_MEMORY[kind]) or "MemoryError"
    wanted = r"memory ran out in a single sentence pair of 2 source and 1 target tokens; lower data\.max_chars"
    with memory_for(model, 0, NO_MEMORY[kind]), pytest.raises(TrainingError, match=f"{wanted}.* \\({words}\\)"):
        Gradients(TrainSection(), model, ALONE)(batch, sampled=False)


def test_other_faults_are_not_taken_for_a_want_of_memory(batch: Batch) -> None:
    model = new_model()
    with memory_for(model, 0, RuntimeError("shapes")), pytest.raises(RuntimeError, match="shapes"):
        Gradients(TrainSection(), model, ALONE)(batch, sampled=False)


def test_a_share_without_pairs_scales_too_before_anything_was_scaled(batch: Batch) -> None:
    """As in fp16 the first batch after a start may be."""
    gradients = Gradients(TrainSection(), new_model(), Team(19, 20))
    gradients.scaler = torch.amp.GradScaler("cpu", enabled=True)
    with mock.patch.object(Team, "add_up"):
        gradients(batch, sampled=False)
    assert gradients.scaler.get_scale() == 65536.0
    assert gradients.scaler.scale(torch.ones(())) == 65536.0


def test_bf16_rounds_products_and_leaves_weights_and_gradients_in_fp32(batch: Batch) -> None:
    model = new_model()
    gradient, _, _ = found(batch, model=model, precision="bf16")
    wanted, _ = plain(batch)
    assert torch.nn.functional.cosine_similarity(gradient, wanted, dim=0) > 0.995
    assert not torch.equal(gradient, wanted)
    assert {p.dtype for p in model.parameters()} == {gradient.dtype} == {torch.float32}


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU has them")
@pytest.mark.parametrize("precision", ["tf32", "fp16"])
def test_a_precision_of_gpus_is_refused_without_one(precision: str) -> None:
    with pytest.raises(RecipeError, match=rf'train\.precision = "{precision}" needs a GPU; .* "fp32" or "bf16"'):
        Gradients(TrainSection(precision=precision), new_model(), ALONE)  # type: ignore[arg-type]

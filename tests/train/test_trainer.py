"""Batches to weights, one optimizer step after the other."""

import copy
import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor

from nmt.checkpoint import TrainingState
from nmt.data.batches import BatchStream, IdTable, Position
from nmt.errors import Divergence
from nmt.model.build import AnyModel, build_model
from nmt.recipe import ModelSection, TrainSection
from nmt.train.optim import LearningRate
from nmt.train.trainer import LOST_STEPS, Progress, Trainer

VOCAB = 12
SENTENCES = [[4 + (i * k) % 8 for k in range(2 + i % 4)] for i in range(30)]


def stream(start: Position) -> BatchStream:
    table = IdTable(SENTENCES)
    return BatchStream(lambda epoch: (table, table), batch_tokens=40, seed=1, start=start)


def new_model(seed: int = 1) -> AnyModel:
    torch.manual_seed(seed)
    section = ModelSection(embed_dim=8, encoder_dim=6, decoder_dim=10, dropout=0.2)
    return build_model(section, src_vocab_size=VOCAB, tgt_vocab_size=VOCAB)


def new_trainer(saved: TrainingState | None = None, model: AnyModel | None = None, **keys: object) -> Trainer:
    section = TrainSection(**{"learning_rate": 0.02, "warmup_steps": 3, "max_steps": 20} | keys)  # type: ignore[arg-type]
    return Trainer(section=section, model=model or new_model(), stream=stream, saved=saved)


def copied(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in weights.items()}


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_the_loss_falls() -> None:
    trainer = new_trainer(max_steps=60, warmup_steps=5)
    losses = [float(loss.nll) / loss.tokens for loss in (trainer.update() for _ in range(60))]
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])


def test_each_step_has_the_learning_rate_of_the_schedule() -> None:
    trainer = new_trainer()
    rate = LearningRate(trainer.section)
    for step in range(20):
        trainer.update()
        assert trainer.optimizer.param_groups[0]["lr"] == rate.at(step)


def test_a_gradient_is_cut_to_the_clip_norm_and_reported_uncut() -> None:
    trainer = new_trainer(clip_norm=1e-3, optimizer="sgd", learning_rate=1.0, warmup_steps=0, schedule="constant")
    before = copied(trainer.model.weights())
    trainer.update()
    moved = torch.cat([(after - before[name]).flatten() for name, after in trainer.model.weights().items()])
    assert float(moved.norm()) == pytest.approx(1e-3, rel=1e-2)
    assert float(trainer.report()["gradient_norm"]) > 1e-2


def test_a_report_counts_the_real_target_tokens_since_the_last_one() -> None:
    trainer = new_trainer()
    batches = [batch for _, batch in itertools.islice(stream(Position(0, 0)), 5)]
    for number in (2, 3):
        for _ in range(number):
            trainer.update()
        taken, batches = batches[:number], batches[number:]
        assert trainer.report()["tokens"] == sum(int(batch.tgt_lengths.sum()) for batch in taken)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_a_trainer_made_from_a_state_goes_on_as_the_other_would(optimizer: str, ema_decay: float) -> None:
    keys: dict[str, Any] = {"optimizer": optimizer, "ema_decay": ema_decay, "weight_decay": 0.01}
    first = new_trainer(**keys)
    for _ in range(7):
        first.update()
    first.validated(3.0)
    saved = copy.deepcopy(first.state())
    # As it comes from a file: tensors by name, in any order; values as JSON has them. Into a model that is another.
    saved = TrainingState(dict(sorted(saved.tensors.items(), reverse=True)), saved.values)
    for _ in range(5):
        first.update()
    torch.rand(3)
    second = new_trainer(saved, new_model(seed=2), **keys)
    assert second.progress.step == 7
    for _ in range(5):
        second.update()
    assert same(second.state().tensors, first.state().tensors)
    timeless = [
        {k: v for k, v in trainer.progress.as_json().items() if k not in ("totals", "seconds")}
        for trainer in (first, second)
    ]
    assert timeless[0] == timeless[1]


def test_training_on_a_sample_of_the_vocabulary_goes_on_as_the_other_would_and_ends_in_time() -> None:
    """Here in the first half of all steps; the sample is drawn anew at each of them."""

    def going_on(state: TrainingState, steps: int, **keys: object) -> tuple[list[float], Trainer]:
        trainer = new_trainer(copy.deepcopy(state), new_model(seed=2), **keys)
        return [float(trainer.update().nll) for _ in range(steps)], trainer

    sampling: dict[str, object] = {"sampled_softmax": 2, "sampled_share": 0.5}
    seventh = new_trainer(**sampling)
    for _ in range(7):
        seventh.update()
    state = seventh.state()
    (losses, tenth), (again, _) = going_on(state, 3, **sampling), going_on(state, 3, **sampling)
    assert losses == again
    assert losses[0] != going_on(state, 1)[0][0]
    state = tenth.state()
    assert going_on(state, 10, **sampling)[0] == going_on(state, 10)[0]


def test_losses_beyond_guessing_are_a_divergence_when_there_are_many_in_a_row() -> None:
    """Of a model that is sure of the wrong tokens; one good loss among them and they count anew."""
    trainer = new_trainer(learning_rate=1e-9, max_steps=100)
    bias = trainer.model.output.bias
    with torch.no_grad():
        bias[4] = 1e3
    for _ in range(LOST_STEPS - 1):
        trainer.update()
    assert trainer.progress.lost == LOST_STEPS - 1
    with torch.no_grad():
        bias[4] = 0.0
    trainer.update()
    assert trainer.progress.lost == 0
    with torch.no_grad():
        bias[4] = 1e3
    for _ in range(LOST_STEPS - 1):
        trainer.update()
    with pytest.raises(
        Divergence, match=rf"step {2 * LOST_STEPS}: the loss is beyond that of guessing for {LOST_STEPS}"
    ):
        trainer.update()


def test_a_trainer_goes_back_to_a_saved_state_with_a_share_of_the_rate() -> None:
    """And from there on as one whose rate was lower from then on."""
    trainer = new_trainer(ema_decay=0.9, schedule="constant", warmup_steps=0)
    for _ in range(3):
        trainer.update()
    saved = trainer.state()
    for _ in range(4):
        trainer.update()
    trainer.restore(saved, slower=0.25)
    assert (trainer.progress.step, trainer.progress.lr_factor) == (3, 0.25)
    other = new_trainer(
        saved, new_model(seed=2), ema_decay=0.9, schedule="constant", warmup_steps=0, learning_rate=0.005
    )
    for each in (trainer, other):
        torch.set_rng_state(saved.tensors["rank.0.random"])
        each.update()
    assert trainer.optimizer.param_groups[0]["lr"] == other.optimizer.param_groups[0]["lr"] == 0.005
    assert same(trainer.model.weights(), other.model.weights())


def test_a_state_is_a_copy_that_later_steps_leave_alone() -> None:
    trainer = new_trainer(ema_decay=0.5)
    trainer.update()
    state = trainer.state()
    before = copied(state.tensors)
    trainer.update()
    assert same(state.tensors, before)
    assert state.values["progress"]["step"] == 1


def test_progress_survives_json() -> None:
    progress = Progress(step=3, position=Position(1, 2), best_bleu=4.5, totals={"steps": 1})
    assert Progress.from_json(progress.as_json()) == progress


def test_the_best_validation_counts_and_a_tie_is_not_better() -> None:
    trainer = new_trainer()
    found = []
    for bleu in (0.0, 2.0, 2.0, 1.0, 3.0):
        trainer.update()
        found.append((trainer.validated(bleu), trainer.progress.since_best))
    assert found == [(True, 0), (True, 0), (False, 1), (False, 2), (True, 0)]
    assert (trainer.progress.best_bleu, trainer.progress.best_step) == (3.0, 5)


@pytest.mark.parametrize(("patience", "finished"), [(0, False), (2, True), (3, False)])
def test_patience_counts_validations_without_a_better_one(patience: int, finished: bool) -> None:
    trainer = new_trainer(patience=patience)
    for bleu in (2.0, 1.0, 2.0):
        trainer.validated(bleu)
    assert trainer.finished is finished


def test_a_trainer_is_finished_after_its_last_step() -> None:
    trainer = new_trainer(max_steps=2)
    found = [trainer.finished]
    for _ in range(2):
        trainer.update()
        found.append(trainer.finished)
    assert found == [False, False, True]


def test_a_plateau_lowers_the_rate_also_for_a_trainer_that_goes_on() -> None:
    keys: dict[str, Any] = {"schedule": "plateau", "plateau_patience": 2, "plateau_factor": 0.5, "warmup_steps": 0}
    trainer = new_trainer(**keys)
    for bleu in (2.0, 1.0):
        trainer.update()
        trainer.validated(bleu)
    trainer = new_trainer(trainer.state(), **keys)
    trainer.validated(1.0)
    trainer = new_trainer(trainer.state(), **keys)
    trainer.update()
    assert trainer.optimizer.param_groups[0]["lr"] == 0.01


@pytest.mark.parametrize("ema_decay", [0.0, 0.9])
def test_validation_sees_the_averaged_weights_without_dropout_and_training_gets_its_own_back(ema_decay: float) -> None:
    trainer = new_trainer(ema_decay=ema_decay)
    for _ in range(5):
        trainer.update()
    trained = copied(trainer.model.weights())
    with trainer.validation_weights() as weights:
        assert not trainer.model.training
        assert same(weights, trainer.model.weights())
        wanted = trainer.average.weights if trainer.average else trained
        assert same(weights, wanted)
        assert same(weights, trained) is (ema_decay == 0)
    assert same(trainer.model.weights(), trained)
    trainer.update()
    assert trainer.model.training


def test_weights_come_back_even_from_a_validation_that_fails() -> None:
    trainer = new_trainer(ema_decay=0.9)
    trainer.update()
    trained = copied(trainer.model.weights())
    with pytest.raises(RuntimeError, match="no"), trainer.validation_weights():
        raise RuntimeError("no")
    assert same(trainer.model.weights(), trained)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_gradient_that_is_no_number_stops_before_it_touches_a_weight(value: float) -> None:
    trainer = new_trainer()
    trainer.update()
    with torch.no_grad():
        next(trainer.model.parameters())[5:].fill_(value)
    before = copied(trainer.model.weights())
    with pytest.raises(Divergence, match=r"step 2: the gradient is nan: training diverged at learning rate 0\.01"):
        trainer.update()
    assert trainer.progress.step == 1
    assert all(
        torch.equal(after.nan_to_num(), before[name].nan_to_num()) for name, after in trainer.model.weights().items()
    )


def test_what_memory_taught_comes_back_with_the_state() -> None:
    """Else dropout would be drawn for other pieces."""
    trainer = new_trainer(accumulate=2)
    trainer.gradients.halvings = 2
    trainer.update()
    assert new_trainer(trainer.state(), accumulate=2).gradients.pieces == 8


def test_a_scaled_gradient_that_overflows_is_left_out_and_the_scale_comes_back_with_the_state() -> None:
    """What fp16 needs, which a CPU does not have. At the smallest scale it is a divergence."""

    def scaled(saved: TrainingState | None = None) -> Trainer:
        trainer = new_trainer()
        trainer.gradients.scaler = torch.amp.GradScaler("cpu", init_scale=4.0, enabled=True)
        if saved is not None:
            trainer.restore(saved)
        return trainer

    trainer = scaled()
    before = copied(trainer.model.weights())
    overflow = trainer.model.output.bias.register_hook(lambda gradient: gradient * math.inf)
    trainer.update()
    assert same(trainer.model.weights(), before)
    assert trainer.report()["gradient_norm"] == 0.0
    assert trainer.gradients.scaler.get_scale() == 2.0
    overflow.remove()
    state = trainer.state()
    other = scaled(state)
    for each in (trainer, other):
        torch.set_rng_state(state.tensors["rank.0.random"])
        each.update()
    assert not same(trainer.model.weights(), before)
    assert same(other.model.weights(), trainer.model.weights())
    assert other.gradients.scaler.get_scale() == 2.0
    other.model.output.bias.register_hook(lambda gradient: gradient * math.inf)
    other.update()
    with pytest.raises(Divergence, match="the gradient is"):
        other.update()

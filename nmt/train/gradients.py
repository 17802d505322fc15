"""The gradient of a batch's mean loss, from as many pieces as processes and memory ask for."""

import torch
from torch import Tensor

from nmt.data.batches import Batch
from nmt.errors import RecipeError, TrainingError
from nmt.model.build import AnyModel
from nmt.model.embedding import summed_last
from nmt.model.loss import Loss, full_loss, sampled_loss
from nmt.model.model import real_positions
from nmt.recipe import TrainSection
from nmt.train.distributed import Team
from nmt.train.pieces import share, split

AUTOCAST = {"bf16": torch.bfloat16, "fp16": torch.float16}


class Gradients:
    """Fills every parameter's `grad` from one batch after the other.

    A batch is shared out by target tokens among the team, each share is taken in `pieces`, twice as many whenever
    memory runs out, and every piece's loss is divided by the tokens of the whole batch: so the sum is the same however
    it is cut, but for rounding and for what is drawn at random. `scaler` keeps fp16 gradients from vanishing
    (Micikevicius et al. 2018); otherwise it does nothing.
    """

    def __init__(self, section: TrainSection, model: AnyModel, team: Team) -> None:
        """Raises RecipeError for a precision that this machine's device does not have."""
        self.halvings = 0  # of the pieces, since memory ran out so often
        self._section, self._model, self._team = section, model, team
        self._parameters = list(model.parameters())
        self._device = self._parameters[0].device
        if section.precision in ("tf32", "fp16") and self._device.type == "cpu":
            raise RecipeError(f'train.precision = "{section.precision}" needs a GPU; here it is "fp32" or "bf16"')
        set_tf32(section.precision == "tf32")
        self.scaler = torch.amp.GradScaler(self._device.type, enabled=section.precision == "fp16")

    def __call__(self, batch: Batch, *, sampled: bool) -> Loss:
        """The loss of the whole batch, without a gradient; `sampled`: by the sampled softmax.

        Raises TrainingError where a single sentence pair needs more memory than there is.
        """
        tokens = int(batch.tgt_lengths.sum())
        own = share(batch, self._team.rank, self._team.size)
        sums = None
        while sums is None:
            sums = self._backward(own, tokens, sampled=sampled)
        self._add_up(sums)
        return Loss(sums[0], sums[1], tokens)

    @property
    def pieces(self) -> int:
        """How many this process's share of a batch is taken in."""
        return int(self._section.accumulate * 2**self.halvings)

    def _backward(self, own: Batch | None, tokens: int, *, sampled: bool) -> Tensor | None:
        """(2,) total and nll of this process's share, or None where memory ran out: the next try takes more pieces."""
        for parameter in self._parameters:
            parameter.grad = None
        sums = self.scaler.scale(torch.zeros(2, device=self._device))  # a scaler begins to exist when it is first used
        pieces = split(own, self.pieces) if own is not None else []
        try:
            for piece in pieces:
                with torch.autocast(
                    self._device.type,
                    dtype=AUTOCAST.get(self._section.precision),
                    enabled=self._section.precision in AUTOCAST,
                ):
                    loss = self._loss(piece.to(self._device), sampled=sampled)
                self.scaler.scale(loss.total / tokens).backward()  # type: ignore[no-untyped-call]
                sums += torch.stack([loss.total.detach(), loss.nll])
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            if own is None or len(pieces) == len(own.tgt_lengths):
                raise TrainingError(
                    f"memory ran out in a single sentence pair of {int(piece.src_lengths[0])} source and "
                    f"{int(piece.tgt_lengths[0])} target tokens; lower data.max_chars or the sizes of the model "
                    f"({str(error).partition(chr(10))[0] or type(error).__name__})"
                ) from error
        else:
            return sums
        # here, not in the handler: until it is left, the error holds on to all that it was about
        self.halvings += 1
        if self._device.type == "cuda":
            torch.cuda.empty_cache()
        return None

    def _loss(self, batch: Batch, *, sampled: bool) -> Loss:
        output = self._model.output
        weight = summed_last(output.weight)  # now: before other uses of the same
        readouts = self._model.readouts(batch.src, batch.src_lengths, batch.tgt_in, batch.tgt_lengths)
        tgt = real_positions(batch.tgt_out, batch.tgt_lengths)
        smoothing = self._section.label_smoothing
        if sampled:
            samples = self._section.sampled_softmax
            return sampled_loss(readouts, tgt, weight, output.bias, samples=samples, label_smoothing=smoothing)
        return full_loss(readouts, tgt, weight, output.bias, label_smoothing=smoothing)

    def _add_up(self, sums: Tensor) -> None:
        """Everyone's gradients and sums to their totals, in one exchange."""
        if self._team.size == 1:
            return
        for parameter in self._parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        self._team.add_up([*(p.grad for p in self._parameters if p.grad is not None), sums])


def set_tf32(allowed: bool) -> None:
    """Whether GPUs may round the factors of fp32 products to 10 bits; cuDNN does so of its own accord otherwise."""
    precision = "tf32" if allowed else "ieee"
    torch.backends.cuda.matmul.fp32_precision = precision
    torch.backends.cudnn.rnn.fp32_precision = precision  # type: ignore[attr-defined]
    torch.backends.cudnn.conv.fp32_precision = precision  # type: ignore[attr-defined]


# What torch says in a RuntimeError that has no type of its own: its allocator's words; oneDNN's, which tells nothing
# of why, and in pieces of fewer sentences either works or ends in a fault that quotes it; C++'s.
NO_MEMORY = ("can't allocate memory", "could not create a primitive", "bad_alloc")


def is_out_of_memory(error: Exception) -> bool:
    """On a GPU or on the CPU."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error) for words in NO_MEMORY)

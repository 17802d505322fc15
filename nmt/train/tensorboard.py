"""TensorBoard event files. Imported only where a recipe asks for them: tensorboard is an optional extra."""

from pathlib import Path

from torch.utils.tensorboard import SummaryWriter

from nmt.train.progress import Values


class TensorBoardSink:
    """Every number of a report as a scalar `train/loss`, `valid/bleu` ... by optimizer step."""

    def __init__(self, folder: Path, *, from_step: int) -> None:
        """What an earlier process wrote after `from_step` is hidden by the purge step."""
        self._folder = str(folder)
        self._writer = SummaryWriter(self._folder, purge_step=from_step + 1)

    def write(self, values: Values) -> None:
        """Take one report."""
        for name, value in values.items():
            if name not in ("event", "step") and not isinstance(value, str):
                self._writer.add_scalar(f"{values['event']}/{name}", value, values["step"])

    def rewind(self, step: int) -> None:
        """Hide what came after `step`: training goes on from there."""
        self._writer.close()
        self._writer = SummaryWriter(self._folder, purge_step=step + 1)

    def close(self) -> None:
        """Flush and close."""
        self._writer.close()

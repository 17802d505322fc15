"""Average the weights of a run's checkpoints into a run of their own: `python tools/average_checkpoints.py RUN OUT`.

(Junczys-Dowmunt et al. 2016; with a learning rate that falls to 0 it gains nothing: recipes/README.md.) All that are in
the folder count: train with `--set train.keep_last=5 --set train.save_every=100`.
"""

import shutil
from pathlib import Path

import click
import torch
from safetensors import safe_open

from nmt.checkpoint import Checkpoints
from nmt.errors import CheckpointError
from nmt.run_dir import CHECKPOINTS, RECIPE, TOKENIZER, save_model

WEIGHTS = "model."  # how the model's tensors begin among those of a training state


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
def main(run: Path, out: Path) -> None:
    """Write the mean of RUN's checkpoints to the folder OUT, which `nmt evaluate` reads."""
    steps = Checkpoints(run, keep_last=1).steps()
    if len(steps) < 2:
        raise CheckpointError(f"{run}: has {len(steps)} checkpoints, and a mean wants two")
    sums: dict[str, torch.Tensor] = {}
    for step in steps:
        with safe_open(run / CHECKPOINTS / f"{step:08}" / "state.safetensors", framework="pt") as stored:
            for name in stored.keys():  # noqa: SIM118 (not a dict)
                if name.startswith(WEIGHTS):
                    own = name.removeprefix(WEIGHTS)
                    sums[own] = sums.get(own, torch.zeros(())) + stored.get_tensor(name).double()
    out.mkdir(parents=True)
    shutil.copytree(run / TOKENIZER, out / TOKENIZER)
    shutil.copy(run / RECIPE, out / RECIPE)
    save_model(out, {name: (total / len(steps)).float() for name, total in sums.items()})
    click.echo(f"{out}: the mean of steps {', '.join(map(str, sorted(steps)))}")


if __name__ == "__main__":
    main()

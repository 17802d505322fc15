"""The example scripts for clusters, with stand-ins for the programs that only a cluster has."""

import os
import re
import subprocess
from pathlib import Path

import pytest
from torch.distributed.run import parse_args

CLUSTER = Path(__file__).parents[2] / "tools" / "cluster"
# Those of sbatch's options that the script may use, and the form of their values (sbatch's manual page).
SBATCH = {
    "job-name": r"\w+",
    "nodes": r"\d+",
    "ntasks-per-node": "1",  # one torchrun a machine, which starts the others
    "gpus-per-node": r"\d+",
    "cpus-per-task": r"\d+",
    "time": r"\d+:\d\d:\d\d",
    "signal": r"TERM@\d+",
}


def command(script: str, folder: Path, **variables: str) -> list[str]:
    """What the script would have run: `srun` runs what it is given, `torchrun` only prints it, an argument a line.

    `srun` takes no more than it says: the cores of a task, which must be those that the job was given.
    """
    for name, body in {
        "srun": '[ "$1 $2" = "--cpus-per-task 16" ] && shift 2 && exec "$@"',
        "torchrun": "printf '%s\\n' \"$@\"",
        "scontrol": '[ "$*" = "show hostnames node[3-4]" ] && printf "node3\\nnode4\\n"',
    }.items():
        (folder / name).write_text(f"#!/bin/sh\n{body}\n")
        (folder / name).chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}", **variables}
    done = subprocess.run(
        [CLUSTER / script, "my recipe.toml", "--run-dir", "/shared/run"],
        env=environment,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("script", "variables", "endpoint", "processes"),
    [
        (
            "slurm.sh",
            {
                "SLURM_JOB_NODELIST": "node[3-4]",
                "SLURM_NNODES": "2",
                "SLURM_GPUS_ON_NODE": "4",
                "SLURM_CPUS_PER_TASK": "16",
                "SLURM_JOB_ID": "77",
            },
            "node3:29500",
            "4",
        ),
        ("machines.sh", {"NODES": "2", "HEAD": "first", "PROCESSES": "3"}, "first:29500", "3"),
    ],
)
def test_torchrun_understands_the_command_and_starts_nmt_train_with_all_arguments(
    tmp_path: Path, script: str, variables: dict[str, str], endpoint: str, processes: str
) -> None:
    found = parse_args(command(script, tmp_path, **variables))
    assert (found.nnodes, found.nproc_per_node) == ("2", processes)
    assert (found.rdzv_backend, found.rdzv_endpoint) == ("c10d", endpoint)
    assert found.rdzv_id
    assert (found.module, found.training_script) == (True, "nmt")
    assert found.training_script_args == ["train", "my recipe.toml", "--run-dir", "/shared/run"]


def test_what_the_script_asks_of_slurm_stands_before_its_first_command_and_has_the_form_of_its_manual() -> None:
    lines = (CLUSTER / "slurm.sh").read_text().splitlines()
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    asked = [line for line in lines if line.startswith("#SBATCH")]
    assert asked == [line for line in lines[:first_command] if line.startswith("#SBATCH")]
    for line in asked:
        [(name, value)] = re.findall(r"^#SBATCH --([a-z-]+)=(\S+)$", line)
        assert re.fullmatch(SBATCH[name], value)
    assert len(asked) == len(SBATCH)


def test_without_its_variables_a_script_stops_before_it_starts_anything(tmp_path: Path) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        command("machines.sh", tmp_path, HEAD="first")

"""A Markdown table of trained runs: `python tools/results_table.py runs/ladder/*`.

Runs whose folders differ only in a last `-seedN` are one row: mean and sample standard deviation.
"""

import json
import re
import statistics
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import click
from safetensors import safe_open

from nmt.errors import NmtError
from nmt.run_dir import METRICS, MODEL, SCORES


@dataclass(frozen=True)
class Run:
    """One finished training."""

    scores: dict[tuple[str, str], float]  # (test set, metric) -> score
    signatures: dict[str, str]  # metric -> sacreBLEU's
    parameters: int
    steps: int
    minutes: float  # of training alone, at its undisturbed speed: the ninth decile of its reports
    valid_bleu: float  # the best


def read_run(folder: Path) -> Run:
    """Raises NmtError where the run has not been trained to its end and scored."""
    try:
        rows = json.loads((folder / SCORES).read_bytes())
        reports = [json.loads(line) for line in (folder / METRICS).read_text(encoding="utf-8").splitlines()]
        with safe_open(folder / MODEL, framework="np") as weights:
            shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118 (not a dict)
    except OSError as error:
        raise NmtError(f"{folder}: not a finished run: {error}") from error
    parameters = 0
    for shape in shapes:
        size = 1
        for side in shape:
            size *= side
        parameters += size
    trained = [report for report in reports if report["event"] == "train"]
    speeds = sorted(report["tokens_per_second"] for report in trained)
    return Run(
        scores={(row["test_set"], row["metric"]): row["score"] for row in rows},
        signatures={row["metric"]: row["signature"] for row in rows},
        parameters=parameters,
        steps=reports[-1]["step"],
        minutes=sum(report["tokens"] for report in trained) / speeds[9 * len(speeds) // 10] / 60,
        valid_bleu=max(report["bleu"] for report in reports if report["event"] == "valid"),
    )


def spread(values: list[float]) -> str:
    """`38.61`, or of several `38.61 ± 0.20`."""
    mean = f"{statistics.mean(values):.2f}"
    return mean if len(values) == 1 else f"{mean} ± {statistics.stdev(values):.2f}"


def table(runs: dict[str, list[Run]]) -> str:
    """Rows by name, in the order given; a column for each test set and metric of the first run."""
    columns = list(next(iter(runs.values()))[0].scores)
    head = [f"{test_set} {metric}" for test_set, metric in columns]
    lines = [["run", *head, "best valid BLEU", "seeds", "parameters", "steps", "training minutes"]]
    for name, group in runs.items():
        lines.append(
            [
                name,
                *(spread([run.scores[column] for run in group]) for column in columns),
                spread([run.valid_bleu for run in group]),
                str(len(group)),
                f"{group[0].parameters:,}",
                f"{group[0].steps:,}",
                f"{statistics.mean(run.minutes for run in group):.1f}",
            ]
        )
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    text = [" | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    rule = " | ".join(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return "\n".join(f"| {line} |" for line in [text[0], rule, *text[1:]])


def show(runs: dict[str, list[Run]]) -> None:
    """Print the table, and the signatures of its scores."""
    click.echo(table(runs))
    for metric, signature in next(iter(runs.values()))[0].signatures.items():
        click.echo(f"{metric}: {signature}")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def main(folders: tuple[Path, ...]) -> None:
    """Compare the runs in FOLDERS."""
    runs: dict[str, list[Run]] = defaultdict(list)
    for folder in folders:
        try:
            runs[re.sub(r"-seed\d+$", "", folder.name)].append(read_run(folder))
        except NmtError as error:
            sys.exit(f"error: {error}")
    show(runs)


if __name__ == "__main__":
    main()

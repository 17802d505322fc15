"""What textbooks claim about recurrent networks, measured: `python recipes/claims/run.py all`.

Each part measures what is not measured yet and writes it to results/PART.jsonl in --out; `page` makes README.md and its
plots from these files alone. A part that was stopped goes on where it was; two may run at a time.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import torch
from measure import gradients, recall, translate
from measure.page import write_page
from measure.store import Store
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

HERE = Path(__file__).resolve().parent
PARTS = ("recall", "gradients", "translate")
PHRASEBOOK = HERE.parent / "phrasebook"
QUICK_SETS = {"train": (0, 300), "val": (300, 340), "test_2016_flickr": (340, 380)}  # lines of the phrasebook


@contextmanager
def progress(console: Console, total: int) -> Iterator[Callable[[str], None]]:
    """A bar; yields what says that one more measurement is done, and which."""
    columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total)
        yield lambda text: bar.update(task, advance=1, description=text)


def quick_data(folder: Path) -> Path:
    """A few lines of the phrasebook under the names that the Multi30k recipes want."""
    folder.mkdir(parents=True, exist_ok=True)
    for lang in ("de", "en"):
        lines = (PHRASEBOOK / f"train.{lang}").read_text(encoding="utf-8").splitlines(keepends=True)
        for name, (begin, end) in QUICK_SETS.items():
            (folder / f"{name}.{lang}").write_text("".join(lines[begin:end]), encoding="utf-8")
    return folder


@click.command()
@click.argument("part", type=click.Choice([*PARTS, "page", "all"]))
@click.option("--only", multiple=True, help="recall, translate: this variant or run alone; may be given several times")
@click.option("--seeds", default=0, help="recall, translate: seeds 1 to SEEDS; 0: 3 for recall, 1 for translate")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="folder of Multi30k; else from the hub")
@click.option("--runs", type=click.Path(path_type=Path), default=Path("runs/claims"), help="where trainings are kept")
@click.option("--out", type=click.Path(path_type=Path), help="where results/, README.md and plots go; else beside me")
@click.option("--quick", is_flag=True, help="all of it in seconds, with tiny models: only to see that it runs")
def main(
    part: str, only: tuple[str, ...], seeds: int, data: Path | None, runs: Path, out: Path | None, quick: bool
) -> None:
    """Measure PART of the claims, or all, and make the page."""
    parts = PARTS if part == "all" else (part,)
    _check_names(only, parts)
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)  # vanished gradients are denormal numbers, many times slower than others
    console = Console()
    out = out or (runs / "quick" if quick else HERE)
    runs = out / "runs" if quick else runs
    if "recall" in parts:
        plan = recall.QUICK if quick else recall.Plan(seeds=range(1, (seeds or 3) + 1))
        variants = [name for name in recall.VARIANTS if not only or name in only]
        with progress(console, len(plan.jobs(variants))) as advance:
            recall.measure(Store(out / "results/recall.jsonl"), plan, variants, advance)
    if "gradients" in parts:
        gradient_plan = gradients.QUICK if quick else gradients.Plan()
        with progress(console, gradient_plan.jobs) as advance:
            gradients.measure(Store(out / "results/gradients.jsonl"), gradient_plan, advance)
    if "translate" in parts:
        data = quick_data(out / "data") if quick else data
        overrides = translate.QUICK if quick else ()
        trainings = translate.Plan(runs=runs, data=data, seeds=range(1, (seeds or 1) + 1), overrides=overrides)
        names = [name for name in translate.RUNS if not only or name in only]
        trained = Console(quiet=True) if quick else console
        translate.measure(Store(out / "results/translate.jsonl"), trainings, names, trained, console.print)
    console.print(f"wrote {write_page(out)}", soft_wrap=True, highlight=False)


def _check_names(only: tuple[str, ...], parts: tuple[str, ...]) -> None:
    known = [*(recall.VARIANTS if "recall" in parts else ()), *(translate.RUNS if "translate" in parts else ())]
    if unknown := [name for name in only if name not in known]:
        raise click.UsageError(
            f"--only {unknown[0]}: choose from {', '.join(known) or 'nothing: this part has no names'}"
        )


if __name__ == "__main__":
    main()

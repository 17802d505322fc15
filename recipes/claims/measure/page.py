"""README.md and its plots, from the measurements in results/ alone: the same files give the same bytes."""

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from measure import plots, verdicts
from measure.gradients import CELLS as GRADIENT_CELLS
from measure.gradients import INITIALISATIONS, decay
from measure.markdown import MISSING, image, table
from measure.numbers import NOISE, SPREAD, Training, trainings
from measure.recall_page import recall_sections
from measure.store import Row, Store
from measure.translate import CELLS, RUNS
from measure.verdicts import Verdict
from nmt.run_dir import write_bytes

HEAD = """# What textbooks claim about recurrent networks, measured

Made by `python recipes/claims/run.py page` from the measurements in `results/`; every measured number here but
the noise of BLEU, and each verdict, is computed from them. To measure all of it anew, delete `results/`
and run, in the root of the checkout:

```sh
pip install -e ".[plots]"
python recipes/claims/run.py recall
python recipes/claims/run.py gradients
python recipes/claims/run.py translate --data FOLDER_OF_MULTI30K    # without --data: from the Hugging Face hub
```

Each part goes on where it was stopped. `--quick` runs all of it in seconds with tiny models, elsewhere.
"""

READING = """## 3. An encoder-decoder beats translating while reading

Measured: BLEU on {test_set} (beam {beam}), German to English. [encoder-decoder.toml](encoder-decoder.toml) reads the
whole source into one vector. [read-along.toml](read-along.toml) is one network of about as many parameters, which
writes a token for each it reads, some tokens late. All are small and trained for {steps} steps; by the sentence vector
alone more steps and parameters come further ([multi30k-de-en-vector](../multi30k-de-en-vector.toml) in the
[table of recipes](../README.md)), which was not tried for reading along.
"""

CONVERGENCE = """## 4. An LSTM converges faster than a simple RNN

Measured: perplexity on Multi30k's validation set against steps and against seconds of training (one thread, validation
not counted, at the run's undisturbed speed: the ninth decile of its reports), with and without attention; only
`model.cell` differs. The simple RNN has a second try with a third of the learning rate. BLEU is that of {test_set}
(beam {beam}).
"""

REVERSAL = """## 5. Reversing the source helps the model without attention; attention removes the need

Measured: BLEU on {test_set} (beam {beam}) by source length, in words between spaces. The encoder reads in one
direction alone ([forward-vector.toml](forward-vector.toml), [forward-attention.toml](forward-attention.toml)), or in
the other (`model.reverse_source`). BLEU of a few sentences is noisy: mind their number.
"""

GRADIENTS = """## 6. Initialisation, clipping and normalisation keep gradients in bounds

Measured, through time: the norm of the gradient of the last loss (naming the first symbol) by the state at each step of
the encoder (an LSTM's c, else h), for sequences of {steps} steps; geometric mean over 16 sequences and, for fresh
models, three seeds. "Trained": one seed of ours after {updates} updates of the recall task of claim 1 over {learned}
steps, with what it recalls over as many by then.
Initialisations: ours (orthogonal; forget bias 1), torch's default, and Gaussian recurrent weights of a spectral radius
of about 2.
"""

CLIPPING = """
Clipping: a simple RNN with weights too large learns the recall task over {clipped} steps, with three seeds; the loss is
that of the last 50 of {updates} updates, median of the seeds (least to most). A loss of ln 8 / 2 = {guessing:.2f} is
that of guessing (the second target token, eos, is always the same). The plot's gradient norm is that before clipping.
"""


def write_page(folder: Path) -> Path:
    """README.md and its plots in `folder`, from `folder`/results."""
    results = folder / "results"
    rows = {part: Store(results / f"{part}.jsonl").rows() for part in ("recall", "translate", "gradients")}
    sections = [HEAD, *recall_sections(rows["recall"], folder), *_translate(rows["translate"], folder)]
    sections += [*_gradients(rows["gradients"], folder), _machines(rows)]
    page = folder / "README.md"
    write_bytes(page, "\n".join(section.strip() + "\n" for section in sections).encode("utf-8"))
    return page


def _translate(rows: Sequence[Row], folder: Path) -> list[str]:
    found = trainings(rows)
    runs = {name: found[name] for name in RUNS if name in found}
    words = {"test_set": "the test set", "beam": "5", "steps": "as many"}
    if rows:
        steps = max(row["valid"][-1]["step"] for row in rows)
        words = {"test_set": rows[0]["test_set"], "beam": str(rows[0]["beam_size"]), "steps": f"{steps:,}"}
    waits = [name for name in RUNS if name.startswith("read-along")]
    cells = [f"{kind}-{cell}" for kind in ("vector", "attention") for cell in CELLS]
    ways = [f"{way}-{kind}" for kind in ("vector", "attention") for way in ("forward", "reversed")]

    def section(
        text: str, needs: list[str], table: str, plot: Callable[..., None], file: str, judge: Callable[..., Verdict]
    ) -> list[str]:
        if not set(needs) <= runs.keys():
            return [text.format(**words), MISSING]
        plot(runs, folder / file)
        return [text.format(**words), table, image(text.partition("\n")[0].lstrip("# "), file), str(judge(runs))]

    sections = section(
        READING,
        ["vector-lstm", "attention-lstm", *waits],
        _bleus({name: runs[name] for name in ("vector-lstm", "attention-lstm", *waits) if name in runs}, timed=False),
        plots.plot_reading_along,
        "reading.png",
        verdicts.reading_along,
    )
    sections += section(
        CONVERGENCE,
        cells,
        _bleus({name: runs[name] for name in cells if name in runs}, timed=True),
        plots.plot_convergence,
        "convergence.png",
        verdicts.convergence,
    )
    by_length = _by_length({name: runs[name] for name in ways if name in runs})
    sections += section(REVERSAL, ways, by_length, plots.plot_reversal, "reversal.png", verdicts.reversal)
    if rows:
        seeds = len({row["identity"]["seed"] for row in rows})
        spread = "mean ± standard deviation where there are several" if seeds > 1 else "one, so small gaps are noise"
        noise = (
            f"Noise: {NOISE} BLEU is about what two runs differ by one time in twenty if the seeds of each deviate by"
        )
        noise += f" {SPREAD}, as three of multi30k-de-en with 4,000 steps do ([table of recipes](../README.md))."
        sections += [f"Claims 3 to 5: BLEU is `{rows[0]['signature']}`. Seeds: {seeds} ({spread}). {noise}"]
    return sections


def _bleus(runs: dict[str, Training], *, timed: bool) -> str:
    head = ["run", "recipe", "parameters", "test BLEU", "best validation BLEU (greedy)", "best validation perplexity"]
    head += ["minutes of training"] if timed else []
    body = []
    for name, run in runs.items():
        recipe, options = RUNS[name]
        settings = " ".join([f"[{recipe}]({recipe}.toml)", *(f"`{option}`" for option in options)])
        valid = [f"{max(run.valid('bleu')):.1f}", f"{min(run.valid('ppl')):.2f}"]
        minutes = [f"{run.valid('seconds')[-1] / 60:.1f}"] if timed else []
        body.append([name, settings, f"{run.rows[0]['parameters']:,}", str(run), *valid, *minutes])
    return table(head, body, texts=2)


def _by_length(runs: dict[str, Training]) -> str:
    if not runs:
        return ""
    bins = next(iter(runs.values())).by_length()
    head = [
        "BLEU by words of the source (sentences)",
        *(f"{words} ({count})" for words, (count, _) in bins.items()),
        "all",
    ]
    body = [[name, *(f"{bleu:.1f}" for _, bleu in run.by_length().values()), str(run)] for name, run in runs.items()]
    return table(head, body)


def _gradients(rows: Sequence[Row], folder: Path) -> list[str]:
    norms = {
        (row["identity"]["what"], row["identity"]["cell"], row["identity"]["initialisation"]): row["norms"]
        for row in rows
        if row["identity"]["what"] != "clipping"
    }
    clipping = [row for row in rows if row["identity"]["what"] == "clipping"]
    wanted = [("fresh", cell, way) for cell in GRADIENT_CELLS for way in INITIALISATIONS]
    wanted += [("trained", cell, "library") for cell in GRADIENT_CELLS]
    if not set(wanted) <= norms.keys() or not clipping:
        return [GRADIENTS.format(steps="200", learned="25", updates="400"), MISSING]
    trained = {row["identity"]["cell"]: row for row in rows if row["identity"]["what"] == "trained"}
    updates, learned = trained["rnn"]["updates"], trained["rnn"]["learned_steps"]
    plots.plot_gradients(norms, updates, folder / "gradients.png")
    plots.plot_clipping(clipping, folder / "clipping.png")
    losses = [
        [name, *(f"{median(ends):.2f} ({min(ends):.2f}–{max(ends):.2f})" for ends in both)]
        for name, both in verdicts.final_losses(clipping).items()
    ]
    judged = (verdicts.initialisation(norms, trained), verdicts.normalisation(norms), verdicts.clipping(clipping))
    steps = len(norms[wanted[0]]) - 1
    return [
        GRADIENTS.format(steps=steps, learned=learned, updates=updates),
        _faded(norms, trained),
        image("gradient norm on its way back through time", "gradients.png"),
        CLIPPING.format(
            clipped=clipping[0]["steps"],
            updates=max(len(row["losses"]) for row in clipping),
            guessing=verdicts.GUESSING,
        ),
        table(["optimizer, learning rate", "loss without clipping", "clipped to 1"], losses),
        image("loss and gradient norm with and without clipping", "clipping.png"),
        *(str(verdict) for verdict in judged),
    ]


def _faded(norms: plots.Norms, trained: dict[str, Row]) -> str:
    back = decay(norms["fresh", "rnn", "library"])["back"]
    head = [f"gradient left {back} steps back (a step)", "ours", "torch's", "too large", "trained", "recalls (%)"]
    body = []
    for cell in GRADIENT_CELLS:
        keys = [("fresh", cell, way) for way in INITIALISATIONS] + [("trained", cell, "library")]
        faded = [decay(norms[key]) for key in keys]
        left = [f"{verdicts.small(found['left'])} (×{found['factor']:.2f})" for found in faded]
        body.append([GRADIENT_CELLS[cell], *left, f"{100 * trained[cell]['recall']:.0f}"])
    return table(head, body)


def _machines(rows: dict[str, list[Row]]) -> str:
    lines = []
    for part, found in rows.items():
        lines += [f"- {part}: {machine}" for machine in sorted({row["machine"] for row in found})]
    if rows["recall"]:
        minutes = sum(row.get("cpu_seconds", 0.0) for row in rows["recall"]) / 60
        lines += [f"- the updates of recall took {minutes:.1f} CPU minutes in all"]
    if rows["translate"]:
        minutes = sum(row["valid"][-1]["seconds"] for row in rows["translate"]) / 60
        lines += [f"- the steps of translate took about {minutes:.0f} minutes in all, validation and tests not counted"]
    return "\n".join(["## Where it was measured", "", *(lines or [MISSING])])

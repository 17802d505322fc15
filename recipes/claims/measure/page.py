"""README.md and its plots, from the measurements in results/ alone: the same files give the same bytes."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from measure import plots, verdicts
from measure.gradients import CELLS as GRADIENT_CELLS
from measure.gradients import INITIALISATIONS, decay
from measure.numbers import Curve, Training, fails_at, keeps, recalls, trainings
from measure.recall import VARIANTS, recall_recipe
from measure.store import Row, Store
from measure.translate import CELLS, RUNS
from measure.verdicts import Verdict
from nmt.run_dir import write_bytes

FAR = ("gru", "lstm", "attention", "convolution")  # variants of claim 2
MISSING = "*Not measured yet.*"

HEAD = """# What textbooks claim about recurrent networks, measured

Made by `python recipes/claims/run.py page` from the measurements in `results/`; every number here, and each verdict,
is computed from them. To measure all of it anew, delete `results/` and run, in the root of the checkout:

```sh
pip install -e ".[plots]"
python recipes/claims/run.py recall
python recipes/claims/run.py gradients
python recipes/claims/run.py translate --data FOLDER_OF_MULTI30K    # without --data: from the Hugging Face hub
```

Each part goes on where it was stopped. `--quick` runs all of it in seconds with tiny models, elsewhere.
"""

RECALL = """## 1. A simple RNN forgets the start of a sequence; LSTM and GRU keep it longer, and learn faster

Measured: the encoder reads one of eight symbols, then n more, drawn at random from the same eight. The decoder, which
sees nothing but the encoder's last state, is to name the first. Only its place marks it; chance is 12.5 %.

Sizes and learning are those of [recall.toml](recall.toml), the same for all: fresh sequences in each update, every
other batch of fewer than n steps, at most {updates} updates, an earlier end when 99 % are recalled twice in a row.
Recall is that of 512 other sequences of n steps, mean over {seeds} seeds. "–": not tried, as all seeds had been near
chance at two shorter lengths. "Keeps" is the longest length up to which recall is at least 90 %, "fails at" the first
with less than 50 %. Updates and CPU seconds until 90 % are the median of the seeds.{notes}
"""
NOTES = {  # where these are measured
    "lnlstm": "\nThe layer-normalised LSTM, a slow loop: one seed, and shorter lengths alone.",
    "lstm-torch": "\nDashed in the plot: torch's default initialisation in place of ours (orthogonal recurrent weights,"
    "\nforget bias 1).",
    "lstm-whole": "\nDotted: without the shorter batches.",
}

DISTANCE = """## 2. Even an LSTM struggles past about 100 steps; attention and a convolutional encoder do not

Measured: the same task and the same LSTM decoder, which now may look back at the source. The convolutional encoder has
two layers, of three positions each, and knows a symbol's place by its position embedding.
"""

READING = """## 3. An encoder-decoder beats translating while reading

Measured: BLEU on {test_set} (beam {beam}), German to English. [encoder-decoder.toml](encoder-decoder.toml) reads the
whole source into one vector. [read-along.toml](read-along.toml) is one network of about as many parameters, which
writes a token for each it reads, some tokens late.
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
models, three seeds. "After learning": models that learned the recall task of claim 1 over {learned} steps first.
Initialisations: ours (orthogonal; forget bias 1), torch's default, and Gaussian recurrent weights of a spectral radius
of about 2.
"""

CLIPPING = """
Clipping: a simple RNN with weights too large learns the recall task over {clipped} steps, with three seeds; the loss is
that of the last 50 of {updates} updates. A loss of ln 8 / 2 = 1.04 is that of guessing (the second target token, eos,
is always the same). The plot's gradient norm is the one before clipping.
"""


def write_page(folder: Path) -> Path:
    """README.md and its plots in `folder`, from `folder`/results."""
    results = folder / "results"
    rows = {part: Store(results / f"{part}.jsonl").rows() for part in ("recall", "translate", "gradients")}
    sections = [HEAD, *_recall(rows["recall"], folder), *_translate(rows["translate"], folder)]
    sections += [*_gradients(rows["gradients"], folder), _machines(rows)]
    page = folder / "README.md"
    write_bytes(page, "\n".join(section.strip() + "\n" for section in sections).encode("utf-8"))
    return page


def _recall(rows: Sequence[Row], folder: Path) -> list[str]:
    found = recalls(rows)
    curves = {name: found[name] for name in VARIANTS if name in found}
    seeds = len({row["identity"]["seed"] for row in rows})
    updates = recall_recipe().train.max_steps
    near = {name: curve for name, curve in curves.items() if name not in ("attention", "convolution")}
    far = {name: curve for name, curve in curves.items() if name in FAR}
    notes = "".join(note for name, note in NOTES.items() if name in near)
    sections = [RECALL.format(seeds=seeds or "several", updates=f"{updates:,}", notes=notes)]
    if {"rnn", "rnn-slow", "gru", "lstm"} <= near.keys():
        plots.plot_recall(near, folder / "recall.png", speed=True)
        sections += [_shares(near), _speeds(near), _image("recall by length, and updates it takes", "recall.png")]
        sections += [str(verdicts.forgetting(near))]
    else:
        sections += [MISSING]
    sections += [DISTANCE]
    if {"lstm", "attention", "convolution"} <= far.keys():
        plots.plot_recall(far, folder / "distance.png", speed=False)
        sections += [_shares(far), _image("recall by length", "distance.png"), str(verdicts.distance(far))]
    else:
        sections += [MISSING]
    return sections


def _shares(curves: dict[str, Curve]) -> str:
    lengths = sorted({steps for curve in curves.values() for steps in curve})
    head = ["recall (%) after", *(f"{steps}" for steps in lengths), "keeps", "fails at"]
    body = []
    for name, curve in curves.items():
        tried = {steps: recall for steps, recall in curve.items() if recall.tried}
        shares = [f"{100 * tried[steps].mean:.0f}" if steps in tried else "–" for steps in lengths]
        body.append([VARIANTS[name].title, *shares, str(keeps(curve) or "none"), str(fails_at(curve) or "none")])
    return _table(head, body)


def _speeds(curves: dict[str, Curve]) -> str:
    lengths = sorted({steps for curve in curves.values() for steps in curve})
    head = ["updates (CPU seconds) until 90 %", *(f"{steps}" for steps in lengths)]
    body = []
    for name, curve in curves.items():
        cells = []
        for steps in lengths:
            recall = curve.get(steps)
            if recall is None or not recall.tried:
                cells.append("–")
            elif recall.updates_to_90 is None:
                cells.append("never")
            else:
                cells.append(f"{recall.updates_to_90:,.0f} ({recall.cpu_seconds_to_90:,.1f})")
        body.append([VARIANTS[name].title, *cells])
    return _table(head, body)


def _translate(rows: Sequence[Row], folder: Path) -> list[str]:
    found = trainings(rows)
    runs = {name: found[name] for name in RUNS if name in found}
    words = {"test_set": rows[0]["test_set"] if rows else "the test set", "beam": rows[0]["beam_size"] if rows else "5"}
    waits = [name for name in RUNS if name.startswith("read-along")]
    cells = [f"{kind}-{cell}" for kind in ("vector", "attention") for cell in CELLS]
    ways = [f"{way}-{kind}" for kind in ("vector", "attention") for way in ("forward", "reversed")]

    def section(
        text: str, needs: list[str], table: str, plot: Callable[..., None], file: str, judge: Callable[..., Verdict]
    ) -> list[str]:
        if not set(needs) <= runs.keys():
            return [text.format(**words), MISSING]
        plot(runs, folder / file)
        return [text.format(**words), table, _image(text.partition("\n")[0].lstrip("# "), file), str(judge(runs))]

    sections = section(
        READING,
        ["vector-lstm", "attention-lstm", *waits],
        _bleus({name: runs[name] for name in ("vector-lstm", "attention-lstm", *waits) if name in runs}),
        plots.plot_reading_along,
        "reading.png",
        verdicts.reading_along,
    )
    sections += section(
        CONVERGENCE,
        cells,
        _bleus({name: runs[name] for name in cells if name in runs}),
        plots.plot_convergence,
        "convergence.png",
        verdicts.convergence,
    )
    by_length = _by_length({name: runs[name] for name in ways if name in runs})
    sections += section(REVERSAL, ways, by_length, plots.plot_reversal, "reversal.png", verdicts.reversal)
    if rows:
        seeds = len({row["identity"]["seed"] for row in rows})
        spread = "mean ± standard deviation where there are several" if seeds > 1 else "one, so small gaps are noise"
        sections += [f"Claims 3 to 5: BLEU is `{rows[0]['signature']}`. Seeds: {seeds} ({spread})."]
    return sections


def _bleus(runs: dict[str, Training]) -> str:
    head = ["run", "recipe", "parameters", "test BLEU", "best validation perplexity", "minutes of training"]
    body = []
    for name, run in runs.items():
        recipe, options = RUNS[name]
        settings = " ".join([f"[{recipe}]({recipe}.toml)", *(f"`{option}`" for option in options)])
        minutes = f"{run.valid('seconds')[-1] / 60:.1f}"
        body.append(
            [name, settings, f"{run.rows[0]['parameters']:,}", str(run), f"{min(run.valid('ppl')):.2f}", minutes]
        )
    return _table(head, body, texts=2)


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
    return _table(head, body)


def _gradients(rows: Sequence[Row], folder: Path) -> list[str]:
    norms = {
        (row["identity"]["what"], row["identity"]["cell"], row["identity"]["initialisation"]): row["norms"]
        for row in rows
        if row["identity"]["what"] != "clipping"
    }
    clipping = [row for row in rows if row["identity"]["what"] == "clipping"]
    wanted = [("fresh", cell, way) for cell in GRADIENT_CELLS for way in INITIALISATIONS]
    wanted += [("learned", cell, "library") for cell in GRADIENT_CELLS]
    if not set(wanted) <= norms.keys() or not clipping:
        return [GRADIENTS.format(steps="200", learned="25"), MISSING]
    plots.plot_gradients(norms, folder / "gradients.png")
    plots.plot_clipping(clipping, folder / "clipping.png")
    losses = [
        [name, f"{free:.2f}", f"{clipped:.2f}"] for name, (free, clipped) in verdicts.final_losses(clipping).items()
    ]
    judged = (verdicts.initialisation(norms), verdicts.normalisation(norms), verdicts.clipping(clipping))
    steps, learned = len(norms[wanted[0]]) - 1, next(row["learned_steps"] for row in rows if "learned_steps" in row)
    return [
        GRADIENTS.format(steps=steps, learned=learned),
        _faded(norms),
        _image("gradient norm on its way back through time", "gradients.png"),
        CLIPPING.format(clipped=clipping[0]["steps"], updates=max(len(row["losses"]) for row in clipping)),
        _table(["optimizer, learning rate", "loss without clipping", "clipped to 1"], losses),
        _image("loss and gradient norm with and without clipping", "clipping.png"),
        *(str(verdict) for verdict in judged),
    ]


def _faded(norms: plots.Norms) -> str:
    back = decay(norms["fresh", "rnn", "library"])["back"]
    head = [f"gradient left {back} steps back (a step)", "ours", "torch's", "too large", "ours, after learning"]
    body = []
    for cell in GRADIENT_CELLS:
        keys = [("fresh", cell, way) for way in INITIALISATIONS] + [("learned", cell, "library")]
        faded = [decay(norms[key]) for key in keys]
        body.append(
            [VARIANTS[cell].title, *(f"{verdicts.small(found['left'])} (×{found['factor']:.2f})" for found in faded)]
        )
    return _table(head, body)


def _machines(rows: dict[str, list[Row]]) -> str:
    lines = []
    for part, found in rows.items():
        lines += [f"- {part}: {machine}" for machine in sorted({row["machine"] for row in found})]
    if rows["recall"]:
        minutes = sum(row.get("cpu_seconds", 0.0) for row in rows["recall"]) / 60
        lines += [f"- the updates of recall took {minutes:.1f} CPU minutes in all"]
    if rows["translate"]:
        minutes = sum(row["valid"][-1]["seconds"] for row in rows["translate"]) / 60
        lines += [f"- the steps of translate took {minutes:.1f} minutes in all, validation and tests not counted"]
    return "\n".join(["## Where it was measured", "", *(lines or [MISSING])])


def _image(words: str, file: str) -> str:
    return f"![{words}]({file})"


def _table(head: Sequence[str], body: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """In Markdown; the first `texts` columns on the left, numbers on the right."""
    lines = [head, [*["---"] * texts, *["---:"] * (len(head) - texts)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""What the numbers say to each claim. Each verdict is computed, so that it changes when the numbers do."""

import math
from collections.abc import Mapping
from statistics import median
from typing import NamedTuple

from measure.gradients import CELLS, decay
from measure.numbers import KEPT, NOISE, Curve, Training, better, fails_at, keeps, reaches
from measure.recall import VARIANTS
from measure.store import Row
from measure.task import SYMBOLS

HOLDS, IN_PART, FALSE = "Holds", "Holds in part", "Does not hold here"
STRUGGLES_PAST = 100  # steps, claim 2
SOONER = 0.9  # a tenth: speeds differ by as much from run to run
GONE = 1e-3  # of a gradient
GUESSING = math.log(SYMBOLS) / 2  # the loss: of two target tokens the second, eos, is always the same


class Verdict(NamedTuple):
    """A word, and why."""

    word: str
    why: str

    def __str__(self) -> str:
        return f"**{self.word}.** {self.why}"


def percent(share: float) -> str:
    """12 %"""
    return f"{100 * share:.0f} %"


def small(value: float) -> str:
    """0.12 or 2e-09"""
    return f"{value:.2g}" if 0.001 <= value < 1000 else f"{value:.0e}"


def _word(parts: list[bool]) -> str:
    return HOLDS if all(parts) else IN_PART if any(parts) else FALSE


def forgetting(curves: Mapping[str, Curve]) -> Verdict:
    """Claim 1: gated cells keep the first symbol longer than the better of the simple RNNs, and learn faster."""
    simple = max(("rnn", "rnn-slow"), key=lambda name: keeps(curves[name]))
    gated = ("gru", "lstm")
    longer = [keeps(curves[name]) > keeps(curves[simple]) for name in gated]
    shortest = min(curves[simple])
    needs = {name: curves[name][shortest].updates_to_90 for name in ("rnn", "rnn-slow", *gated)}
    slowest = min(needs["rnn"] or float("inf"), needs["rnn-slow"] or float("inf"))
    faster = [(needs[name] or float("inf")) < slowest for name in gated]
    kept = ", ".join(f"{VARIANTS[name].title} {_steps(keeps(curves[name]))}" for name in (simple, *gated))
    speed = ", ".join(f"{VARIANTS[name].title} {_updates(needs[name])}" for name in needs)
    lost = "; ".join(f"{VARIANTS[name].title}: {_fails(curves[name])}" for name in (simple, *gated))
    why = f"At least {percent(KEPT)} recall is kept over: {kept}. Failing, with less than half recalled: {lost}."
    why += f" Until 90 % over {shortest} steps: {speed}."
    return Verdict(_word(longer + faster), why)


def distance(curves: Mapping[str, Curve]) -> Verdict:
    """Claim 2: beyond 100 steps an LSTM no longer recalls; attention and convolution do."""
    far = [steps for steps in curves["lstm"] if steps > STRUGGLES_PAST]
    lost = [steps for steps in far if curves["lstm"][steps].mean < KEPT]
    parts = [bool(lost)] + [keeps(curves[name]) >= max(curves[name]) for name in ("attention", "convolution")]
    past = ", ".join(_range(curves["lstm"], steps) for steps in far) or "nothing measured"
    kept = "; ".join(f"{VARIANTS[name].title}: {_steps(keeps(curves[name]))}" for name in ("attention", "convolution"))
    why = f"Past {STRUGGLES_PAST} steps the LSTM recalls: {past}. At least {percent(KEPT)} is kept over: {kept}."
    unfinished = [
        f"{found.unfinished} of {len(found.seeds)} over {steps}"
        for steps, found in curves["lstm"].items()
        if found.unfinished
    ]
    if unfinished:
        why += (
            f" Seeds of the LSTM that used up their updates before 99 % came twice in a row: {', '.join(unfinished)}. "
        )
        why += "So it struggles to learn this within them; with more updates it might keep the symbol longer."
    if (gru := curves.get("gru")) is not None:
        why += f" The GRU without attention: {_steps(keeps(gru))}."
    return Verdict(_word(parts), why)


def reading_along(runs: Mapping[str, Training]) -> Verdict:
    """Claim 3: the encoder-decoder's BLEU is higher than that of each wait, by more than noise."""
    whole = runs["vector-lstm"]
    waits = {name: run for name, run in runs.items() if name.startswith("read-along-")}
    ahead = {name: whole.mean - run.mean for name, run in waits.items()}
    chosen = max(waits, key=lambda name: max(waits[name].valid("bleu")))
    why = (
        f"The encoder-decoder by the sentence vector alone reaches {whole} BLEU; of those that translate while they "
        f"read, the one with the best BLEU on the validation set, with a wait of {_wait(chosen)}, {waits[chosen]}. "
    )
    if (attention := runs.get("attention-lstm")) is not None:
        why += f"With attention the encoder-decoder reaches {attention}. "
    beaten = [_wait(name) for name, gap in ahead.items() if gap > NOISE]
    why += f"Beaten by more than noise ({NOISE} BLEU): {'waits of ' + ', '.join(beaten) if beaten else 'no wait'}. "
    ppl = {name: min(run.valid("ppl")) for name, run in waits.items()}
    lowest, own = min(ppl, key=lambda name: ppl[name]), min(whole.valid("ppl"))
    likelier = sum(own < found for found in ppl.values())
    why += f"By validation perplexity the encoder-decoder ({own:.2f}) beats {likelier} of the {len(ppl)} waits "
    why += f"(the best: wait {_wait(lowest)}, {ppl[lowest]:.2f})."
    return Verdict(_word([gap > NOISE for gap in ahead.values()]), why)


def convergence(runs: Mapping[str, Training]) -> Verdict:
    """Claim 4: the LSTM comes to the simple RNN's best perplexity in a tenth fewer steps, and a tenth less time.

    Less than a tenth apart is a tie.
    """
    parts, said = [], []
    for kind, title in (("vector", "With the sentence vector alone"), ("attention", "with attention")):
        simple = runs[better(runs, f"{kind}-rnn", f"{kind}-rnn-slow")]
        goal, lstm = min(simple.valid("ppl")), runs[f"{kind}-lstm"]
        words = []
        for key, unit in (("step", "steps"), ("seconds", "seconds of training")):
            rnn_at, lstm_at = reaches(simple, goal, key), reaches(lstm, goal, key)
            parts.append(lstm_at is not None and rnn_at is not None and lstm_at < SOONER * rnn_at)
            tie = ", a tie" if lstm_at and rnn_at and SOONER <= lstm_at / rnn_at <= 1 / SOONER else ""
            found = f"{lstm_at:,.0f} {unit} (RNN {rnn_at:,.0f}{tie})" if lstm_at and rnn_at else f"never ({unit})"
            words.append(found)
        said.append(f"{title} the LSTM comes to the simple RNN's best perplexity, {goal:.1f}, after {', '.join(words)}")
    return Verdict(_word(parts), "; ".join(said) + ".")


def reversal(runs: Mapping[str, Training]) -> Verdict:
    """Claim 5: reversing gains more than noise without attention, and no more than that with it."""
    gains = {kind: runs[f"reversed-{kind}"].mean - runs[f"forward-{kind}"].mean for kind in ("vector", "attention")}
    why = f"Reversing the source changes BLEU by {gains['vector']:+.1f} without attention and by "
    why += f"{gains['attention']:+.1f} with it (noise: {NOISE}). "
    why += f"Attention itself gives {runs['forward-attention'].mean - runs['forward-vector'].mean:+.1f}."
    return Verdict(_word([gains["vector"] > NOISE, gains["attention"] <= NOISE]), why)


def initialisation(norms: Mapping[tuple[str, str, str], list[float]], trained: Mapping[str, Row]) -> Verdict:
    """Claim 6, first part: 10 times more of a gradient is left than with torch's initialisation, and it is not gone.

    `trained`: by cell, what was measured after training.
    """
    left = {key: decay(curve)["left"] for key, curve in norms.items()}
    back = decay(norms["fresh", "rnn", "library"])["back"]
    cells = ("rnn", "gru", "lstm")
    more = {cell: left["fresh", cell, "library"] / left["fresh", cell, "torch"] for cell in cells}
    said = ", ".join(f"{CELLS[cell]} {small(times)} times as much" for cell, times in more.items())
    why = f"Initialisation: {back} steps back there is more left with ours than with torch's: {said}."
    ours = {cell: left["fresh", cell, "library"] for cell in cells}
    if min(ours.values()) < GONE:
        why += (
            f" But it is no cure: left is {', '.join(f'{CELLS[cell]} {small(found)}' for cell, found in ours.items())}."
        )
    learned = ", ".join(
        f"{CELLS[cell]} {small(left['trained', cell, 'library'])} (recalls {percent(trained[cell]['recall'])})"
        for cell in cells
    )
    why += f" Trained {trained['rnn']['updates']} updates: {learned}."
    why += f" Weights too large leave {small(left['fresh', 'rnn', 'large'])} of the simple RNN's gradient"
    why += f" and {small(left['fresh', 'lstm', 'large'])} of the LSTM's."
    return Verdict(_word([times > 10 for times in more.values()] + [found > GONE for found in ours.values()]), why)


def normalisation(norms: Mapping[tuple[str, str, str], list[float]]) -> Verdict:
    """Claim 6, second part: with layer normalisation all initialisations keep much alike, and more than without."""
    left = {key: decay(curve)["left"] for key, curve in norms.items()}
    ways = ("library", "torch", "large")
    spread = {cell: [left["fresh", cell, way] for way in ways] for cell in ("lstm", "lnlstm")}
    said = "; ".join(f"{CELLS[cell]} {small(min(found))} to {small(max(found))}" for cell, found in spread.items())
    alike = max(spread["lnlstm"]) / min(spread["lnlstm"]) < 100
    more = left["fresh", "lnlstm", "library"] > 10 * left["fresh", "lstm", "library"]
    return Verdict(
        _word([alike, more]), f"Normalisation: in fresh models, over the three initialisations, there is left: {said}."
    )


def clipping(rows: list[Row]) -> Verdict:
    """Claim 6, third part: with clipping the loss ends lower, by a tenth at least, and lower than that of guessing."""
    parts, said = [], []
    for name, (free, clipped) in final_losses(rows).items():
        without, among = median(free), median(clipped)
        parts.append(among < 0.9 * without and among < GUESSING)
        neither = " (neither learns)" if min(without, among) >= GUESSING else ""
        said.append(f"{name} ends at {without:.2f} without, {among:.2f} with{neither}")
    return Verdict(_word(parts), f"Clipping: {'; '.join(said)}.")


def final_losses(clipping: list[Row]) -> dict[str, tuple[list[float], list[float]]]:
    """Optimizer -> mean loss of the last 50 updates of each seed, without clipping and with it.

    Infinite where training broke.
    """
    longest = max((len(row["losses"]) for row in clipping), default=0)
    ends: dict[str, dict[str, list[float]]] = {}
    for row in clipping:
        losses = row["losses"]
        last = sum(losses[-50:]) / len(losses[-50:]) if len(losses) == longest else float("inf")
        ends.setdefault(row["identity"]["optimizer"], {}).setdefault(row["identity"]["gradient"], []).append(last)
    return {titled(name): (kinds["free"], kinds["clipped"]) for name, kinds in sorted(ends.items(), reverse=True)}


def titled(optimizer: str) -> str:
    """Of "sgd 0.1": SGD, learning rate 0.1"""
    name, rate = optimizer.split()
    return f"{ {'sgd': 'SGD', 'adam': 'Adam'}[name] }, learning rate {rate}"


def _steps(steps: int) -> str:
    return f"{steps} steps" if steps else "no length measured"


def _fails(curve: Curve) -> str:
    at = fails_at(curve)
    return f"over {at}" if at else f"not even over {max(curve)}"


def _updates(updates: float | None) -> str:
    return "never" if updates is None else f"{updates:,.0f} updates"


def _wait(run: str) -> str:
    return run.rpartition("-")[2]


def _range(curve: Curve, steps: int) -> str:
    shares = curve[steps].shares
    return f"{percent(curve[steps].mean)} over {steps} (seeds {100 * min(shares):.0f} to {100 * max(shares):.0f})"

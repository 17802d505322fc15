"""What the numbers say to each claim. Each verdict is computed, so that it changes when the numbers do."""

from collections.abc import Mapping
from typing import NamedTuple

from measure.gradients import decay
from measure.numbers import KEPT, NOISE, Curve, Training, better, fails_at, keeps, reaches
from measure.recall import VARIANTS
from measure.store import Row

HOLDS, IN_PART, FALSE = "Holds", "Holds in part", "Does not hold here"
STRUGGLES_PAST = 100  # steps, claim 2
SOONER = 0.9  # a tenth: speeds differ by as much from run to run
GONE = 1e-3  # of a gradient


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
    for name in ("rnn", "lstm"):
        plain = curves.get(f"{name}-torch")
        if plain:
            why += f" With torch's initialisation the {VARIANTS[name].title} keeps {_steps(keeps(plain))}"
            why += f" (with ours: {_steps(keeps(curves[name]))})."
    return Verdict(_word(longer + faster), why)


def distance(curves: Mapping[str, Curve]) -> Verdict:
    """Claim 2: beyond 100 steps an LSTM no longer recalls; attention and convolution do."""
    far = [steps for steps in curves["lstm"] if steps > STRUGGLES_PAST]
    lost = [steps for steps in far if curves["lstm"][steps].mean < KEPT]
    parts = [bool(lost)] + [keeps(curves[name]) >= max(curves[name]) for name in ("attention", "convolution")]
    past = ", ".join(f"{percent(curves['lstm'][steps].mean)} over {steps}" for steps in far) or "nothing measured"
    kept = "; ".join(f"{VARIANTS[name].title}: {_steps(keeps(curves[name]))}" for name in ("attention", "convolution"))
    why = f"Past {STRUGGLES_PAST} steps the LSTM recalls: {past}. At least {percent(KEPT)} is kept over: {kept}."
    if (gru := curves.get("gru")) is not None:
        why += f" The GRU without attention: {_steps(keeps(gru))}."
    return Verdict(_word(parts), why)


def reading_along(runs: Mapping[str, Training]) -> Verdict:
    """Claim 3: the encoder-decoder is better than each wait, by more than noise."""
    whole = runs["vector-lstm"]
    waits = {name: run for name, run in runs.items() if name.startswith("read-along-")}
    ahead = {name: whole.mean - run.mean for name, run in waits.items()}
    closest = min(ahead, key=lambda name: ahead[name])
    why = (
        f"The encoder-decoder by the sentence vector alone reaches {whole} BLEU; the best of those that translate "
        f"while they read, waiting for {closest.rpartition('-')[2]} tokens, {waits[closest]}. "
    )
    if (attention := runs.get("attention-lstm")) is not None:
        why += f"With attention the encoder-decoder reaches {attention}. "
    beaten = [name.rpartition("-")[2] for name, gap in ahead.items() if gap > NOISE]
    why += f"Beaten by more than noise ({NOISE} BLEU): waits of {', '.join(beaten) or 'none'}."
    return Verdict(_word([gap > NOISE for gap in ahead.values()]), why)


def convergence(runs: Mapping[str, Training]) -> Verdict:
    """Claim 4: the LSTM comes to the simple RNN's best perplexity in a tenth fewer steps, and a tenth less time."""
    parts, said = [], []
    for kind, title in (("vector", "With the sentence vector alone"), ("attention", "with attention")):
        simple = runs[better(runs, f"{kind}-rnn", f"{kind}-rnn-slow")]
        goal, lstm = min(simple.valid("ppl")), runs[f"{kind}-lstm"]
        words = []
        for key, unit in (("step", "steps"), ("seconds", "seconds of training")):
            rnn_at, lstm_at = reaches(simple, goal, key), reaches(lstm, goal, key)
            parts.append(lstm_at is not None and rnn_at is not None and lstm_at < SOONER * rnn_at)
            words.append(f"{lstm_at:,.0f} {unit} (RNN {rnn_at:,.0f})" if lstm_at and rnn_at else f"never ({unit})")
        said.append(f"{title} the LSTM comes to the simple RNN's best perplexity, {goal:.1f}, after {', '.join(words)}")
    return Verdict(_word(parts), "; ".join(said) + ".")


def reversal(runs: Mapping[str, Training]) -> Verdict:
    """Claim 5: reversing gains more than noise without attention, and no more than that with it."""
    gains = {kind: runs[f"reversed-{kind}"].mean - runs[f"forward-{kind}"].mean for kind in ("vector", "attention")}
    why = f"Reversing the source changes BLEU by {gains['vector']:+.1f} without attention and by "
    why += f"{gains['attention']:+.1f} with it (noise: {NOISE}). "
    why += f"Attention itself gives {runs['forward-attention'].mean - runs['forward-vector'].mean:+.1f}."
    return Verdict(_word([gains["vector"] > NOISE, gains["attention"] <= NOISE]), why)


def initialisation(norms: Mapping[tuple[str, str, str], list[float]]) -> Verdict:
    """Claim 6, first part: more of a gradient is left than with torch's initialisation, 10 times at least."""
    left = {key: decay(curve)["left"] for key, curve in norms.items()}
    back = decay(norms["fresh", "rnn", "library"])["back"]
    more = {cell: left["fresh", cell, "library"] / left["fresh", cell, "torch"] for cell in ("rnn", "gru", "lstm")}
    said = ", ".join(f"{VARIANTS[cell].title} {small(times)} times as much" for cell, times in more.items())
    why = f"Initialisation: {back} steps back there is more left with ours than with torch's: {said}."
    if left["fresh", "rnn", "library"] < GONE:
        why += f" But it is no cure: of the simple RNN's gradient {small(left['fresh', 'rnn', 'library'])} is left"
        why += f", and after learning {small(left['learned', 'rnn', 'library'])}"
        why += f" (GRU {small(left['learned', 'gru', 'library'])}, LSTM {small(left['learned', 'lstm', 'library'])})."
    why += f" Weights too large leave {small(left['fresh', 'rnn', 'large'])} of the simple RNN's gradient"
    why += f" and {small(left['fresh', 'lstm', 'large'])} of the LSTM's."
    return Verdict(_word([times > 10 for times in more.values()]), why)


def normalisation(norms: Mapping[tuple[str, str, str], list[float]]) -> Verdict:
    """Claim 6, second part: with layer normalisation all initialisations keep much alike, and more than without."""
    left = {key: decay(curve)["left"] for key, curve in norms.items()}
    ways = ("library", "torch", "large")
    spread = {cell: [left["fresh", cell, way] for way in ways] for cell in ("lstm", "lnlstm")}
    said = "; ".join(
        f"{VARIANTS[cell].title} {small(min(found))} to {small(max(found))}" for cell, found in spread.items()
    )
    alike = max(spread["lnlstm"]) / min(spread["lnlstm"]) < 100
    more = left["fresh", "lnlstm", "library"] > 10 * left["fresh", "lstm", "library"]
    return Verdict(_word([alike, more]), f"Normalisation: over the three initialisations there is left: {said}.")


def clipping(rows: list[Row]) -> Verdict:
    """Claim 6, third part: with clipping the loss ends lower, by a tenth at least."""
    losses = final_losses(rows)
    said = "; ".join(
        f"{name} ends at {free:.2f} without, {clipped:.2f} with" for name, (free, clipped) in losses.items()
    )
    return Verdict(_word([clipped < 0.9 * free for free, clipped in losses.values()]), f"Clipping: {said}.")


def final_losses(clipping: list[Row]) -> dict[str, tuple[float, float]]:
    """Optimizer -> mean loss of the last 50 updates without clipping, and with it; infinite where training broke."""
    longest = max((len(row["losses"]) for row in clipping), default=0)
    sums: dict[str, dict[str, list[float]]] = {}
    for row in clipping:
        losses = row["losses"]
        last = sum(losses[-50:]) / len(losses[-50:]) if len(losses) == longest else float("inf")
        sums.setdefault(row["identity"]["optimizer"], {}).setdefault(row["identity"]["gradient"], []).append(last)
    mean = {name: {kind: sum(found) / len(found) for kind, found in kinds.items()} for name, kinds in sums.items()}
    return {titled(name): (kinds["free"], kinds["clipped"]) for name, kinds in sorted(mean.items(), reverse=True)}


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

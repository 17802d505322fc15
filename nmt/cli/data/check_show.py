"""What `nmt data check` prints: a few aligned tables, examples of what looks wrong, and the verdict last."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.corpora.check_text import foreign_scripts, scripts
from nmt.corpora.histogram import LENGTH_BOUNDS, RATIO_BOUNDS, drawn

if TYPE_CHECKING:
    from nmt.cli.data.check_verdict import Verdict
    from nmt.corpora.check import Findings

_SHOWN_CHARS = 120
_UNSEEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ue000-\uf8ff]")


def show(findings: "Sequence[Findings]", verdict: "Verdict", languages: tuple[str, str], console: Console) -> None:
    """Prints all of it."""
    read = [found for found in findings if found.lines]
    if read:
        console.print(_pairs(read))
        console.print(_lengths(read, languages), soft_wrap=True)
        console.print(_ratios(read))
        console.print(Text(_legend(), style="dim"))
    for found in read:
        _suspicions(found, console)
    _verdict(verdict, console)


def _pairs(findings: "Sequence[Findings]") -> Table:
    table = _table("pairs", ("read", "kept", "dropped", "duplicates", "one source, several targets"))
    for found in findings:
        dropped = ", ".join(f"{reason} {count:,}" for reason, count in found.dropped.items() if count)
        counts = (f"{count:,}" for count in (found.lines, found.kept))
        table.add_row(_name(found), *counts, dropped or "-", f"{found.duplicates:,}", f"{found.many_targets:,}")
    return table


def _lengths(findings: "Sequence[Findings]", languages: tuple[str, str]) -> Text:
    """Two lines of numbers for each source, under its name: beside them there is no room for it."""
    rows: list[tuple[str, ...]] = [
        ("sides", "chars", "words", "mean", "median", "99 %", "longest", "lengths", "letters"),
    ]
    for found in findings:
        for side, language in zip(found.sides, languages, strict=True):
            summary = side.chars.summary()
            numbers = [f"{summary[name]:,}" for name in ("mean", "median", "p99", "longest")]
            totals = f"{side.chars.total:,}", f"{side.words.total:,}"
            letters = _letters(scripts(side.letters), language)
            rows.append((f"  {language}", *totals, *numbers, f"|{drawn(side.chars.histogram())}|", letters))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    head, *lines = (
        " ".join(f"{cell:{'<' if place in (0, 7, 8) else '>'}{width}}" for place, (cell, width) in enumerate(pairs))
        for pairs in (zip(row, widths, strict=True) for row in rows)
    )
    text = Text("\n").append(head, style="bold")
    for place, found in enumerate(findings):
        text.append("\n").append_text(_name(found)).append("".join(f"\n{line}" for line in lines[2 * place :][:2]))
    return text.append("\n")


def _letters(found: dict[str, int], language: str) -> str:
    total = sum(found.values())
    shares = [f"{name.title()} {100 * count / total:.3g} %" for name, count in found.items()][:3]
    foreign = foreign_scripts(found, language)
    return ", ".join(shares if foreign > 0.0005 else shares[:1]) or "none"


def _ratios(findings: "Sequence[Findings]") -> Table:
    table = _table("target / source length", ("median", "ratios"))
    for found in findings:
        table.add_row(_name(found), f"{found.median_ratio:.2f}", f"|{drawn(found.ratios)}|")
    return table


def _legend() -> str:
    lengths, ratios = (" ".join(f"{bound:g}" for bound in bounds) for bounds in (LENGTH_BOUNDS, RATIO_BOUNDS))
    return f"\nlengths in characters, parted at {lengths}\nratios parted at {ratios}"


def _suspicions(found: "Findings", console: Console) -> None:
    if not found.problems:
        return
    console.print(Text(f"\n{found.name}: worth a look", style="bold"), soft_wrap=True)
    width = max(map(len, found.problems))
    for name, count in found.problems.items():
        share = 100 * count / found.lines
        console.print(Text(f"  {name:{width}} {count:>8,}  {share:.3g} %"), soft_wrap=True)
        for pair in found.examples.get(name, ()):
            lines = (pair.fault,) if pair.fault else (_shown(pair.src), _shown(pair.tgt))
            console.print(Text("\n      ".join((f"    {pair.where}", *lines)), style="dim"), soft_wrap=True)


def _verdict(verdict: "Verdict", console: Console) -> None:
    console.print()
    for name, count in verdict.overlap.items():
        if not count:
            console.print(Text(f"{name}: none of its source sentences is in the training text"), soft_wrap=True)
    for style, word, texts in (("yellow", "warning", verdict.warnings), ("bold red", "would fail", verdict.failures)):
        for text in texts:
            console.print(Text(f"{word}: ", style=style).append(text, style="default"), soft_wrap=True)
    if not verdict.failures:
        fine = "nothing here would make a training fail" if verdict.warnings else "nothing wrong was found"
        console.print(Text(fine, style="green"))


def _table(title: str, columns: Sequence[str]) -> Table:
    table = Table(title, *columns, box=None, padding=(0, 1, 0, 0))
    left = ("", "dropped", "lengths", "letters", "ratios")
    for name, column in zip(columns, table.columns[1:], strict=True):
        column.justify = "left" if name in left else "right"
        column.no_wrap = name not in ("dropped", "letters", "one source, several targets")
    table.columns[0].overflow = "fold"
    return table


def _name(found: "Findings") -> Text:
    """The set and the files' names; whole paths stand with the examples."""
    names = " + ".join(part.rsplit("/", 1)[-1] for part in found.name.split(" + "))
    return Text(names if found.role == "text" else f"{found.role}: {names}")


def _shown(text: str) -> str:
    """On one line, cut where it is long, and what cannot be seen by its number."""
    text = _UNSEEN.sub(lambda match: f"<U+{ord(match[0]):04X}>", text)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."

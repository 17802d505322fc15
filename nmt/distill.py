"""Sequence-level knowledge distillation (Kim & Rush 2016): text to learn from, translated by a teacher."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from rich.console import Console
from rich.progress import track

from nmt.errors import DataError, OutputError
from nmt.recipe import DataSection, SearchSection
from nmt.run_dir import MODEL, sha256, write_atomically
from nmt.translate_file import part_file, part_of, requests, translate_stream
from nmt.translator import Translation, Translator


@dataclass(frozen=True)
class Distilled:
    """What became of the source lines: each is in a pair, or left out for one of two reasons."""

    pairs: int
    truncated: int  # the length limit cut the translation off
    empty: int  # there is no text in the translation


def distill(
    translator: Translator,
    lines: Iterable[str],
    out: Path,
    *,
    data: DataSection,
    system: str,
    console: Console,
    resume: bool = False,
) -> Distilled:
    """Translate each distinct line that is not blank; write both sides to `out`.src_lang and `out`.tgt_lang.

    What is done stands in `out`.part until all of it is there, for `resume`; `system` names what translates (see
    `system_of`), so that no two are mixed. Memory grows with the distinct lines.

    Raises OutputError where one of the two files, or a part without `resume`, exists or cannot be written, and
    DataError where there is nothing to translate or the part is of other lines or another system.
    """
    src_path, tgt_path = (out.with_name(f"{out.name}.{lang}") for lang in (data.src_lang, data.tgt_lang))
    _refuse_overwriting(src_path, tgt_path)
    part = part_of(out)
    if not resume and part.exists() and part.stat().st_size > 0:
        raise OutputError(f"{part}: what an earlier run has done: go on with it by --resume, or delete it")
    sources = list(dict.fromkeys(line for line in lines if line.strip()))
    if not sources:
        raise DataError("there is nothing to translate: every line is blank")

    def record(number: int, translations: Sequence[Translation]) -> str:
        best = translations[0]
        return json.dumps([sources[number], best.text, best.flags, system], ensure_ascii=False) + "\n"

    with part_file(out, resume=resume) as (stream, done):
        _check_part(part, sources, system)
        translations = translate_stream(translator, requests(sources), stream, form=record, done=done)
        shown = console.is_terminal
        for _ in track(translations, "translating", len(sources), done, console=console, disable=not shown):
            pass
    distilled = _write_pairs(part, src_path, tgt_path)
    part.unlink()
    return distilled


def system_of(
    runs: Sequence[Path],
    combination: str | None,
    engine: str,
    search: SearchSection,
    besides: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """A digest of what decides a translation: the weights of all runs, how they are combined, how they search.

    besides: what else has a say.
    """
    digest = hashlib.sha256(f"{combination} {engine} {search.model_dump_json()} {dict(besides)}".encode())
    for run in runs:
        digest.update(sha256(run / MODEL).encode())
    return digest.hexdigest()[:16]


def _refuse_overwriting(src_path: Path, tgt_path: Path) -> None:
    """What is there may be the very text that this comes from, and two files cannot be replaced at one moment."""
    if src_path == tgt_path:
        raise OutputError(f"{src_path}: source and target would be one file: the recipe's two languages are the same")
    for path in (src_path, tgt_path):
        if path.exists():
            raise OutputError(f"{path}: is there already, and nothing is written over; name another, or delete it")


def _check_part(part: Path, sources: Sequence[str], system: str) -> None:
    """Whether the lines done before are the first of these, and by the same system."""
    with part.open("rb") as stream:
        for number, (line, source) in enumerate(zip(stream, sources, strict=False), start=1):
            if _origin(line) != (source, system):
                raise DataError(
                    f"--resume: line {number} of {part} is not what this run makes of line {number} to translate: is "
                    "it of another text, another model or other options? Delete it to begin anew"
                )


def _origin(line: bytes) -> tuple[object, object] | None:
    """The source of a line of a part, and the system that translated it."""
    try:
        src, _text, _flags, system = json.loads(line)
    except (ValueError, TypeError):
        return None
    return src, system


def _write_pairs(part: Path, src_path: Path, tgt_path: Path) -> Distilled:
    """The sound translations of a part as two files of equally many lines, neither there before both are whole."""
    counts: Counter[str] = Counter()
    with (
        write_atomically(tgt_path) as tgt_draft,
        write_atomically(src_path) as src_draft,
        part.open("rb") as lines,
        src_draft.open("wb") as src_file,
        tgt_draft.open("wb") as tgt_file,
    ):
        for line in lines:
            src, tgt, flags, _system = json.loads(line)
            fate = "truncated" if "truncated" in flags else "pairs" if tgt else "empty"
            counts[fate] += 1
            if fate == "pairs":
                src_file.write(f"{src}\n".encode())
                tgt_file.write(f"{tgt}\n".encode())
        tgt_file.flush()
        os.fsync(tgt_file.fileno())  # a full disk is met before the source is published
    return Distilled(counts["pairs"], counts["truncated"], counts["empty"])

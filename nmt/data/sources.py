"""What a name in `data.train`, `data.valid` or `data.test` stands for, and the rows read from it.

The corpus cache is keyed by what a source holds: whoever changes which rows the same bytes are read as raises
`READER_VERSION` in corpus.py.
"""

import difflib
import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import datasets

from nmt.data.cache import Stamp
from nmt.data.lines import DecodeErrors, TextFile, open_bytes, read_blocks, read_line_pairs
from nmt.errors import DataError


@dataclass(frozen=True, kw_only=True)
class SourceRules:
    """Where names are looked up, and how what is found there is read.

    hub: name -> "owner/name:split" or "owner/name/config:split" on the Hugging Face hub.
    tsv_columns: the language of each column; None means source, then target.
    """

    folder: Path
    hub: Mapping[str, str]
    src_lang: str
    tgt_lang: str
    tsv_columns: tuple[str, ...] | None = None
    errors: DecodeErrors = "strict"


class Row(NamedTuple):
    """One pair and where it stands or, with a `fault`, a row that holds no pair."""

    where: str
    src: str = ""
    tgt: str = ""
    fault: str = ""


class FileSource(NamedTuple):
    """A source in files: the two sides of one, or a single file of pairs.

    kind: what decides how the files are read; sources of two kinds can give other pairs from the same bytes.
    """

    kind: str
    files: tuple[TextFile, ...]

    @property
    def shown(self) -> str:
        """What faults and reports call it."""
        return " + ".join(file.shown for file in self.files)

    def rows(self, rules: SourceRules) -> Iterator[Row]:
        """Every row in order. Raises DataError where a file is damaged, unpaired or not in the form of its kind."""
        return _READERS[self.kind](self.files, rules)

    def contents(self, rules: SourceRules) -> Iterator[Iterable[bytes]]:
        """The bytes of each file, in blocks. Raises DataError where a file cannot be read."""
        return (read_blocks(file.path, name=file.shown) for file in self.files)

    def identity(self, rules: SourceRules) -> str:
        """Under what its hashes are remembered."""
        return " + ".join(str(file.path.absolute()) for file in self.files)

    def stamps(self) -> list[Stamp]:
        """One of each file. Raises DataError where one is not there."""
        found = []
        for file in self.files:
            with open_bytes(file.path, name=file.shown) as stream:
                found.append(Stamp.of(os.fstat(stream.fileno())))
        return found


class HubSource(NamedTuple):
    """A data set of the Hugging Face hub, already on this machine. It has the methods of `FileSource`."""

    shown: str
    dataset: datasets.Dataset
    kind: str = "hub"
    files: tuple[TextFile, ...] = ()

    def rows(self, rules: SourceRules) -> Iterator[Row]:
        """Every row in order. Raises DataError for half a surrogate pair, unless it is to be replaced."""
        for number, record in enumerate(self.dataset, start=1):
            yield _row(f"{self.shown}:{number}", record, rules)

    def contents(self, rules: SourceRules) -> Iterator[Iterable[bytes]]:
        """What all rows hold: the bytes depend on the rules, and raise as `rows` does."""
        yield ("\n".join(row[1:]).encode() for row in self.rows(rules))

    def identity(self, rules: SourceRules) -> str:
        """Under what its hash is remembered."""
        return f"{self.shown} {rules.src_lang} {rules.tgt_lang} {rules.errors} {len(self.dataset)}"

    def stamps(self) -> list[Stamp]:
        """Of the files that the data set is mapped from; none where it is held in memory."""
        return [Stamp.of(Path(file["filename"]).stat()) for file in self.dataset.cache_files]


Source = FileSource | HubSource


def find_source(name: str, rules: SourceRules) -> Source:
    """The files that `name` stands for in `rules.folder` or, where none is there, what `rules.hub` has for it.

    NAME is NAME.src_lang and NAME.tgt_lang, each with or without .gz, or the file NAME itself if it ends in .tsv,
    .jsonl or .json (or these and .gz). It may be absolute.

    Raises:
        DataError: nothing or only one side is found, it cannot be looked up, or the hub does not give it.
    """
    path = rules.folder / name
    kind = _KINDS.get(Path(name.removesuffix(".gz")).suffix, "two files")
    choices = [[path]]
    if kind == "two files":
        choices = [[Path(f"{path}.{lang}{end}") for end in ("", ".gz")] for lang in (rules.src_lang, rules.tgt_lang)]
    chosen = [there[0] for choice in choices if (there := [file for file in choice if _is_there(file)])]
    if len(chosen) == len(choices):
        return FileSource(kind, tuple(TextFile(file, str(file)) for file in chosen))
    if name in rules.hub and not chosen:
        return _load_from_hub(rules.hub[name])
    raise DataError(_not_found(name, rules, choices, chosen))


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except (OSError, ValueError) as fault:
        raise DataError(f"{path}: cannot be looked up ({fault}); check the name and its permissions") from fault
    return True


def _not_found(name: str, rules: SourceRules, choices: list[list[Path]], chosen: list[Path]) -> str:
    wanted = " and ".join(" or ".join(str(file) for file in choice) for choice in choices)
    if chosen:
        return f"{name}: only {chosen[0]} is there; wanted are {wanted}: add the other side"
    form = Path(name.lower().removesuffix(".gz")).suffix
    if form in _EXCHANGED and _is_there(rules.folder / name):
        return (
            f"{name}: a {form} file is not read as it is; write its pairs into another one with "
            f"`nmt data convert {rules.folder / name} NAME.jsonl`, and name that"
        )
    stem, _, lang = name.removesuffix(".gz").rpartition(".")
    if stem and lang in (rules.src_lang, rules.tgt_lang) and _is_there(rules.folder / name):
        pair = " and ".join(f"{stem}.{side}" for side in (rules.src_lang, rules.tgt_lang))
        return f"{name}: one file of two, where a name of both is wanted; name {stem}, which stands for {pair}"
    folder = (rules.folder / name).parent
    try:
        entries = {entry.name for entry in folder.iterdir()}
    except (FileNotFoundError, NotADirectoryError):
        return f"{name}: there is no folder {folder}; looked for {wanted}; set data.folder to the folder of the data"
    except OSError as fault:
        return f"{name}: nothing found: looked for {wanted}; {folder} cannot be listed ({fault}): check its permissions"
    stems = {Path(entry.removesuffix(".gz")) for entry in entries}
    there = {stem.stem for stem in stems if stem.suffix == f".{rules.src_lang}"}
    there |= {entry for entry in entries if Path(entry.removesuffix(".gz")).suffix in _KINDS}
    near = difflib.get_close_matches(Path(name).name, sorted(there | set(rules.hub)), n=3)
    advice = f"did you mean {' or '.join(near)}?" if near else "check the name, data.folder and the languages"
    hub = f", and among the {len(rules.hub)} names of data.hub" if rules.hub else ""
    return f"{name}: nothing found: looked for {wanted}{hub}; {advice}"


def _load_from_hub(spec: str) -> HubSource:
    path, _, split = spec.partition(":")
    parts = path.split("/")
    if len(parts) not in (2, 3) or not all(parts) or not split:
        raise DataError(f"data.hub: {spec!r} is not of the form owner/name:split or owner/name/config:split")
    try:
        dataset = datasets.load_dataset("/".join(parts[:2]), *parts[2:], split=split)
    except Exception as fault:  # the library has no common root for what it raises; nothing is lost by the translation
        raise DataError(
            f"{spec}: the Hugging Face hub did not give this data set ({fault}); check its name and the network, "
            "or set data.folder to a folder that holds the files"
        ) from fault
    return HubSource(f"hub:{spec}", dataset)


def _read_two_files(files: tuple[TextFile, ...], rules: SourceRules) -> Iterator[Row]:
    src, tgt = files
    for number, pair in enumerate(read_line_pairs(src, tgt, errors=rules.errors), start=1):
        yield Row(f"{src.shown}:{number}", *pair)


def _read_tsv(files: tuple[TextFile, ...], rules: SourceRules) -> Iterator[Row]:
    columns = rules.tsv_columns or (rules.src_lang, rules.tgt_lang)
    if not {rules.src_lang, rules.tgt_lang} <= set(columns):
        raise DataError(
            f"{files[0].shown}: tsv_columns are {', '.join(columns)}, "
            f"but {rules.src_lang} and {rules.tgt_lang} are wanted; name the language of each column"
        )
    src, tgt = columns.index(rules.src_lang), columns.index(rules.tgt_lang)
    for number, line in enumerate(files[0].lines(rules.errors), start=1):
        where = f"{files[0].shown}:{number}"
        cells = line.split("\t")
        if len(cells) == len(columns):
            yield Row(where, cells[src], cells[tgt])
        else:
            yield Row(where, fault=f"{len(cells)} tab-separated columns, but {len(columns)} are wanted")


def _read_json(files: tuple[TextFile, ...], rules: SourceRules) -> Iterator[Row]:
    for number, line in enumerate(files[0].lines(rules.errors), start=1):
        yield json_row(line, f"{files[0].shown}:{number}", rules, first=number == 1)


def json_row(line: str, where: str, rules: SourceRules, *, first: bool) -> Row:
    """The pair in a line. Raises DataError as `json_record`, or for half a surrogate pair, unless it is replaced."""
    return _row(where, json_record(line, where, first=first), rules)


def json_record(line: str, where: str, *, first: bool) -> Any:
    """What a line of JSON holds. Raises DataError if it is broken, or as the `first` begins an array of all records."""
    array = first and line.lstrip().startswith("[")
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as broken:
        fault = _ARRAY if array else f"not JSON ({broken}); one object a line is wanted"
        raise DataError(f"{where}: {fault}") from broken
    if array and any(isinstance(one, dict) for one in record):
        raise DataError(f"{where}: {_ARRAY}")
    return record


_KINDS = {".tsv": "tsv", ".jsonl": "json", ".json": "json"}
_ARRAY = (
    "a JSON array of all records, but JSON lines are wanted, an object each; "
    "`jq -c '.[]' ARRAY.json > LINES.jsonl` makes them"
)
_EXCHANGED = (".po", ".pot", ".mo", ".tmx", ".xlf", ".xliff")
_READERS: dict[str, Callable[[tuple[TextFile, ...], SourceRules], Iterator[Row]]] = {
    "two files": _read_two_files,
    "tsv": _read_tsv,
    "json": _read_json,
}


def _row(where: str, record: Any, rules: SourceRules) -> Row:
    """The pair in {"translation": {lang: text, ...}} or {lang: text, ...}."""
    texts = record.get("translation", record) if isinstance(record, dict) else None
    sides = []
    for lang in (rules.src_lang, rules.tgt_lang):
        text = texts.get(lang) if isinstance(texts, dict) else None
        if not isinstance(text, str):
            return Row(where, fault=f'no text for "{lang}"; {{"{lang}": text}} is wanted')
        sides.append(_one_line(text, where, rules.errors))
    return Row(where, *sides)


def _one_line(text: str, where: str, errors: DecodeErrors) -> str:
    """The text as a line that UTF-8 can hold: JSON may have line breaks in it, and halves of surrogate pairs."""
    try:
        text.encode()
    except UnicodeEncodeError as fault:
        if errors == "strict":
            raise DataError(
                f"{where}: half of a surrogate pair (\\uD800 to \\uDFFF); mend it, or set errors=replace"
            ) from fault
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return re.sub(r"\r?\n", " ", re.sub(r"[\r\n]+\Z", "", text)) if "\n" in text else text

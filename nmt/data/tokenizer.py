"""Text to subword ids and back: normalise, cut with SentencePiece (Kudo & Richardson 2018), number; train, save, load.

The ids of the four special tokens are fixed and no text can produce those of pad, bos and eos: SentencePiece matches
control symbols in no text, and takes the literal "<s>" out of what it learns from. `encode` adds no bos or eos:
`batches` does that.
"""

import hashlib
import io
import json
import re
import unicodedata
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from nmt.data.subwords import BpeDropout, UnigramSampler, uniform
from nmt.errors import CheckpointError, DataError

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")  # in the order of their ids
META_SPACE = "\u2581"  # what SentencePiece writes for a space
UNK_SIGN = "\u2047"  # what an unknown piece decodes to

Kind = Literal["unigram", "bpe", "char", "word"]
Normalization = Literal["nfc", "nfkc", "none"]
NORMAL_FORMS: dict[Normalization, Callable[[str], str]] = {
    "nfc": partial(unicodedata.normalize, "NFC"),
    "nfkc": partial(unicodedata.normalize, "NFKC"),
    "none": str,
}

FORMAT_VERSION = 1
META_FILE = "tokenizer.json"
MODEL_FILES = {True: ("joint.model",), False: ("src.model", "tgt.model")}  # by `joint`

_UNCARRIED = re.compile("[\0\ud800-\udfff]")  # ends a C string; has no UTF-8
_TRAINING_CHARS = 1000  # at most 4000 bytes: SentencePiece skips lines over 4192 bytes, refuses words over 8 kB
_RESERVED_IN_TRAINING = "\u2585"  # SentencePiece leaves out lines that hold it
_TRAINING_THREADS = 4  # fixed: the scores of a unigram model depend on it


@dataclass(frozen=True, kw_only=True)
class TokenizerSpec:
    """What to train. `vocab_size` is of each vocabulary, special tokens and the bytes of `byte_fallback` included."""

    kind: Kind = "unigram"
    vocab_size: int = 8000
    joint: bool = True
    byte_fallback: bool = True
    character_coverage: float = 0.9995
    normalization: Normalization = "nfc"


class Tokenizer:
    """One vocabulary. With byte fallback, `decode(encode(text)) == normalize(text)` for any text whatever.

    Without it, a character (kind "word": a whole word) that the vocabulary lacks becomes unk, which decodes to U+2047.
    """

    def __init__(self, model: bytes, *, kind: Kind, normalization: Normalization) -> None:
        """model: a serialised SentencePiece model. Raises RuntimeError if it is none."""
        self.model, self.kind, self.normalization = model, kind, normalization
        self._normal_form = NORMAL_FORMS[normalization]
        self._processor = SentencePieceProcessor.from_proto(model)
        self._samplers: dict[float, UnigramSampler | BpeDropout] = {}

    @property
    def vocab_size(self) -> int:
        """Number of ids, the special ones included."""
        return len(self._processor)

    def normalize(self, text: str) -> str:
        """The Unicode normal form, each run of Unicode whitespace one space, none at the ends.

        What SentencePiece cannot carry is replaced: its space sign U+2581 by "_", NUL and lone surrogates by U+FFFD.
        """
        return _tidy(self._normal_form(text).replace(META_SPACE, "_"))

    def encode(self, text: str) -> list[int]:
        """The ids of the normalised text, without bos and eos."""
        return list(self._processor.encode(self.normalize(text)))

    def encode_batch(self, texts: Iterable[str], *, threads: int = -1) -> list[list[int]]:
        """`encode` of each text, on so many threads; -1: on all cores."""
        return list(self._processor.encode(self._normalized(list(texts)), num_threads=threads))

    def sample_batch(self, texts: Iterable[str], *, alpha: float, seed: int) -> list[list[int]]:
        """Each text cut at random: the same for the same texts and seed, in whatever process or thread.

        Kind "unigram": segmentations in proportion to probability ** alpha (subword regularization, Kudo 2018).
        Kind "bpe": each merge left out with probability alpha (BPE-dropout, Provilkov et al. 2020).
        SentencePiece's own sampling draws from a generator that no seed makes repeat in another process.
        Raises DataError for other kinds and unless 0 < alpha < 1.
        """
        if self.kind not in _SAMPLERS:
            raise DataError(
                f'tokenizer.sampling: a "{self.kind}" tokenizer cuts in one way only; '
                'set tokenizer.kind to "unigram" or "bpe", or tokenizer.sampling to 0'
            )
        if not 0.0 < alpha < 1.0:
            raise DataError(f"tokenizer.sampling is {alpha}; use a number between 0 and 1, for instance 0.1")
        if alpha not in self._samplers:
            self._samplers[alpha] = _SAMPLERS[self.kind](self._processor, alpha)
        draw, numbers = self._samplers[alpha].draw, uniform(seed)
        cut = ([i for word in _words(self.normalize(text)) for i in draw(word, numbers)] for text in texts)
        return [_join_unknown(ids) if UNK_ID in ids else ids for ids in cut]

    def _normalized(self, texts: list[str]) -> list[str]:
        """`normalize` of each text, most of it at once: no normal form joins anything with a line end."""
        joined = "\n".join(texts)
        if not joined.isascii():
            joined = self._normal_form(joined).replace(META_SPACE, "_")
        tidy = [" ".join(line.split()) for line in _UNCARRIED.sub("\ufffd", joined).split("\n")]
        return tidy if len(tidy) == len(texts) else [self.normalize(text) for text in texts]

    def decode(self, ids: Iterable[int]) -> str:
        """The text of the ids, always one tidy line whatever they spell; pad, bos and eos are silent."""
        text: str = self._processor.decode([int(i) for i in ids])
        return _tidy(text.replace(META_SPACE, " "))  # bytes may spell the sign, control characters and line ends

    def tokens(self, ids: Iterable[int]) -> list[str]:
        """The subword string of each id, as SentencePiece writes it: "\u2581" for a space, "<0x41>" for a byte."""
        return [self._processor.id_to_piece(int(i)) for i in ids]

    def starts_word(self, token_id: int) -> bool:
        """Whether the token begins with a space; bytes never do."""
        return self._processor.id_to_piece(int(token_id)).startswith(META_SPACE)


@dataclass(frozen=True)
class TokenizerPair:
    """The tokenizers of both languages; `joint`: they are one and the same."""

    src: Tokenizer
    tgt: Tokenizer
    joint: bool

    def save(self, folder: Path) -> None:
        """Writes joint.model, or src.model and tgt.model, and tokenizer.json into an existing folder."""
        models = {}
        for name, tokenizer in zip(MODEL_FILES[self.joint], (self.src, self.tgt), strict=False):
            (folder / name).write_bytes(tokenizer.model)
            models[name] = {"vocab_size": tokenizer.vocab_size, "sha256": hashlib.sha256(tokenizer.model).hexdigest()}
        meta = {"version": FORMAT_VERSION, "joint": self.joint, "models": models}
        meta |= {"kind": self.src.kind, "normalization": self.src.normalization}
        (folder / META_FILE).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "TokenizerPair":
        """What `save` wrote. Raises CheckpointError if a file of it is missing, damaged or from a newer version."""
        meta = _read_meta(folder / META_FILE)
        sides = [_load_side(folder / name, meta) for name in MODEL_FILES[meta["joint"]]]
        return cls(src=sides[0], tgt=sides[-1], joint=meta["joint"])


def train_tokenizers(
    src_lines: Iterable[str], tgt_lines: Iterable[str], spec: TokenizerSpec, *, max_lines: int = 500_000
) -> TokenizerPair:
    """Trains on the lines of both sides, together if `spec.joint`: the same lines and spec, the same bytes.

    Of a side with more than `max_lines` lines, every 2nd, 4th, 8th ... is used, as few as it takes. From little text
    come fewer pieces than `spec.vocab_size`: `vocab_size` of the result tells how many.
    Raises DataError if a side has no text, or if `vocab_size` has no room for the characters; it names the least size.
    """
    src, tgt = (_training_text(lines, spec.normalization, max_lines) for lines in (src_lines, tgt_lines))
    if spec.joint:
        both = _train(src + tgt, spec, "source and target text")
        return TokenizerPair(both, both, joint=True)
    return TokenizerPair(_train(src, spec, "source text"), _train(tgt, spec, "target text"), joint=False)


def _tidy(text: str) -> str:
    return " ".join(_UNCARRIED.sub("\ufffd", text).split())


def _training_text(lines: Iterable[str], normalization: Normalization, max_lines: int) -> list[str]:
    kept: list[str] = []
    stride = 1
    for number, line in enumerate(lines):
        if number % stride == 0:
            kept.append(line)
        if len(kept) > max_lines:
            kept, stride = kept[::2], stride * 2
    form = NORMAL_FORMS[normalization]
    tidy = (_tidy(form(line).replace(META_SPACE, "_").replace(_RESERVED_IN_TRAINING, " ")) for line in kept)
    cut = (line[i : i + _TRAINING_CHARS].strip() for line in tidy for i in range(0, len(line), _TRAINING_CHARS))
    return [line for line in cut if line]


def _train(lines: list[str], spec: TokenizerSpec, where: str) -> Tokenizer:
    if not lines:
        raise DataError(f"{where}: no text to train a tokenizer on; every line is empty. Give at least one sentence")
    least = len(SPECIAL_PIECES) + 256 * spec.byte_fallback + 1
    model = io.BytesIO()
    try:
        SentencePieceTrainer.train(
            sentence_iterator=iter(lines),
            model_writer=model,
            model_type=spec.kind,
            vocab_size=max(spec.vocab_size, least),
            hard_vocab_limit=False,  # little text: fewer pieces, not a fault
            character_coverage=spec.character_coverage,
            byte_fallback=spec.byte_fallback,
            normalization_rule_name="identity",
            remove_extra_whitespaces=False,
            pad_id=PAD_ID,
            unk_id=UNK_ID,
            bos_id=BOS_ID,
            eos_id=EOS_ID,
            unk_surface=f" {UNK_SIGN} " if spec.kind == "word" else UNK_SIGN,
            num_threads=_TRAINING_THREADS,
            minloglevel=2,
        )
    except RuntimeError as error:
        found = re.search(r"required_chars\. \d+ vs (\d+)", str(error))
        if not found:
            raise DataError(f"{where}: SentencePiece trains no {spec.kind} tokenizer on it: {error}") from error
        least = int(found[1])
    if spec.vocab_size < least:
        raise DataError(
            f"{where}: tokenizer.vocab_size is {spec.vocab_size}, but special tokens, bytes and the characters of the "
            f"text take {least}; set tokenizer.vocab_size to {least} or more, "
            f"or lower tokenizer.character_coverage ({spec.character_coverage})"
        )
    return Tokenizer(model.getvalue(), kind=spec.kind, normalization=spec.normalization)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: cannot be read ({error.strerror}); a tokenizer's folder needs it") from error


def _read_meta(path: Path) -> dict[str, Any]:
    content = _read(path)
    try:
        meta: dict[str, Any] = dict(json.loads(content))
    except (ValueError, TypeError, RecursionError) as error:
        raise CheckpointError(f"{path}: damaged, no JSON object ({error}); restore it or train again") from error
    version = meta.get("version")
    if isinstance(version, int) and version > FORMAT_VERSION:
        raise CheckpointError(f"{path}: format {version} is newer than {FORMAT_VERSION}, the newest known; update nmt")
    wanted: dict[str, tuple[object, ...]] = {"version": (FORMAT_VERSION,), "joint": (True, False)}
    wanted |= {"kind": get_args(Kind), "normalization": tuple(NORMAL_FORMS)}
    for key, allowed in wanted.items():
        if meta.get(key) not in allowed:
            raise CheckpointError(
                f"{path}: damaged: {key} is {meta.get(key)!r}, not one of {allowed}; restore it or train again"
            )
    return meta


def _load_side(path: Path, meta: dict[str, Any]) -> Tokenizer:
    content = _read(path)
    models = meta.get("models")
    recorded = models.get(path.name) if isinstance(models, dict) else None
    # before parsing: SentencePiece reads many a damaged model without complaint
    if not isinstance(recorded, dict) or recorded.get("sha256") != hashlib.sha256(content).hexdigest():
        raise CheckpointError(f"{path}: damaged: its SHA-256 is not the one in {META_FILE}; restore it or train again")
    try:
        tokenizer = Tokenizer(content, kind=meta["kind"], normalization=meta["normalization"])
    except RuntimeError as error:
        raise CheckpointError(f"{path}: not a SentencePiece model ({error}); restore it or train again") from error
    if tokenizer.vocab_size != recorded.get("vocab_size"):
        raise CheckpointError(
            f"{path}: {tokenizer.vocab_size} pieces, but {META_FILE} says {recorded.get('vocab_size')}; restore both"
        )
    special = tuple(tokenizer.tokens(range(len(SPECIAL_PIECES))))
    if special != SPECIAL_PIECES:
        raise CheckpointError(f"{path}: ids 0 to 3 are {special}, not {SPECIAL_PIECES}; use a model that nmt trained")
    return tokenizer


def _words(text: str) -> list[str]:
    """The words of a normalised text, each with its space sign: no piece reaches over a space, so each is cut alone."""
    return [META_SPACE + word for word in text.split(" ")] if text else []


def _join_unknown(ids: list[int]) -> list[int]:
    """A run of unknown characters is one unk, as SentencePiece has it."""
    return [i for i, before in zip(ids, [PAD_ID, *ids], strict=False) if i != UNK_ID or before != UNK_ID]


_SAMPLERS: dict[str, type[UnigramSampler] | type[BpeDropout]] = {"unigram": UnigramSampler, "bpe": BpeDropout}

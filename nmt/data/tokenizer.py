"""Text to subword ids and back: normalise, cut with SentencePiece (Kudo & Richardson 2018), number; train, save, load.

The ids of the four special tokens are fixed and no text can produce those of pad, bos and eos: SentencePiece matches
control symbols in no text, and takes the literal "<s>" out of what it learns from. `encode` adds no bos or eos:
`batches` does that. With placeholders, the symbols of `placeholders` have the ids after those four.
"""

import hashlib
import io
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

from sentencepiece import SentencePieceProcessor, SentencePieceTrainer

from nmt.data.placeholders import SYMBOLS, Masked, PlaceholderKinds, mask, mask_pairs, split_at_symbols
from nmt.data.subwords import SAMPLERS, BpeDropout, UnigramSampler, join_unknown, uniform
from nmt.data.tokenizer_meta import FORMATS, META_FILE, read_meta, read_model
from nmt.data.training_text import evenly, in_pieces
from nmt.errors import CheckpointError, DataError

PAD_ID, UNK_ID, BOS_ID, EOS_ID = 0, 1, 2, 3
SPECIAL_PIECES = ("<pad>", "<unk>", "<s>", "</s>")  # in the order of their ids
SYMBOL_IDS = tuple(range(len(SPECIAL_PIECES), len(SPECIAL_PIECES) + len(SYMBOLS)))
META_SPACE = "\u2581"  # what SentencePiece writes for a space
UNK_SIGN = "\u2047"  # what an unknown piece decodes to

Kind = Literal["unigram", "bpe", "char", "word"]
Normalization = Literal["nfc", "nfkc", "none"]
NORMAL_FORMS: dict[Normalization, Callable[[str], str]] = {
    "nfc": partial(unicodedata.normalize, "NFC"),
    "nfkc": partial(unicodedata.normalize, "NFKC"),
    "none": str,
}

FEW = 16  # texts

MODEL_FILES = {True: ("joint.model",), False: ("src.model", "tgt.model")}  # by `joint`

_UNCARRIED = re.compile("[\0\ud800-\udfff]")  # ends a C string; has no UTF-8
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
    placeholders: PlaceholderKinds = ()


class Tokenizer:
    """One vocabulary. With byte fallback, `decode(encode(text)) == normalize(text)` for any text whatever.

    Without it, a character (kind "word": a whole word) that the vocabulary lacks becomes unk, which decodes to U+2047.
    """

    def __init__(
        self, model: bytes, *, kind: Kind, normalization: Normalization, placeholders: PlaceholderKinds = ()
    ) -> None:
        """model: a serialised SentencePiece model. Raises RuntimeError if it is none."""
        self.model, self.kind, self.normalization, self.placeholders = model, kind, normalization, placeholders
        self._symbols = {s: [i] for s, i in zip(SYMBOLS, SYMBOL_IDS, strict=True)} if placeholders else {}
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
        """`encode` of each text, on so many threads; -1: on all cores. A few are cut before a thread would begin."""
        texts = list(texts)
        if len(texts) <= FEW:
            return [self.encode(text) for text in texts]
        return list(self._processor.encode(self._normalized(texts), num_threads=threads))

    def sample_batch(self, texts: Iterable[str], *, alpha: float, seed: int) -> list[list[int]]:
        """Each text cut at random: the same for the same texts and seed, in whatever process or thread.

        Kind "unigram": segmentations in proportion to probability ** alpha (subword regularization, Kudo 2018).
        Kind "bpe": each merge left out with probability alpha (BPE-dropout, Provilkov et al. 2020).
        SentencePiece's own sampling draws from a generator that no seed makes repeat in another process.
        Raises DataError for other kinds and unless 0 < alpha < 1.
        """
        if self.kind not in SAMPLERS:
            raise DataError(
                f'tokenizer.sampling: a "{self.kind}" tokenizer cuts in one way only; '
                'set tokenizer.kind to "unigram" or "bpe", or tokenizer.sampling to 0'
            )
        if not 0.0 < alpha < 1.0:
            raise DataError(f"tokenizer.sampling is {alpha}; use a number between 0 and 1, for instance 0.1")
        if alpha not in self._samplers:
            self._samplers[alpha] = SAMPLERS[self.kind](self._processor, alpha)
        draw, numbers = self._samplers[alpha].draw, uniform(seed)
        words = (self._words(self.normalize(text)) for text in texts)
        cut = ([i for word in line for i in self._symbols.get(word) or draw(word, numbers)] for line in words)
        return [join_unknown(ids, UNK_ID) if UNK_ID in ids else ids for ids in cut]

    def _words(self, text: str) -> list[str]:
        """Of a normalised text, each with its space sign: no piece reaches over a space or a symbol of placeholders."""
        words = [META_SPACE + word for word in text.split(" ")] if text else []
        return [part for word in words for part in split_at_symbols(word)] if self._symbols else words

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

    @property
    def placeholders(self) -> PlaceholderKinds:
        """The kinds of spans that both sides have symbols for."""
        return self.src.placeholders

    @property
    def symbol_ids(self) -> tuple[int, ...]:
        """The ids of the symbols, the same on both sides; none without placeholders."""
        return SYMBOL_IDS if self.placeholders else ()

    def mask_source(self, line: str, *, keep: Sequence[re.Pattern[str]] = ()) -> Masked:
        """A line to translate, normalised, with its spans masked; the very line where the pair has no placeholders."""
        return mask(self.src.normalize(line), self.placeholders, keep=keep) if self.placeholders else Masked(line, ())

    def mask_pairs(self, src: Sequence[str], tgt: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
        """Lines and their translations as the model is to see them; as they are without placeholders."""
        if not self.placeholders:
            return src, tgt
        return mask_pairs(self.src._normalized(list(src)), self.tgt._normalized(list(tgt)), self.placeholders)

    def encode_pairs(
        self, src: Sequence[str], tgt: Sequence[str], *, threads: int = -1
    ) -> tuple[list[list[int]], list[list[int]]]:
        """The ids of lines and their translations, masked."""
        src, tgt = self.mask_pairs(src, tgt)
        return self.src.encode_batch(src, threads=threads), self.tgt.encode_batch(tgt, threads=threads)

    def allowances(self, ids: Iterable[int]) -> dict[int, int]:
        """How often a translation of the source ids may have each symbol: as often as they have it."""
        return dict(Counter(i for i in ids if i in self.symbol_ids))

    def save(self, folder: Path) -> None:
        """Writes joint.model, or src.model and tgt.model, and tokenizer.json into an existing folder."""
        models = {}
        for name, tokenizer in zip(MODEL_FILES[self.joint], (self.src, self.tgt), strict=False):
            (folder / name).write_bytes(tokenizer.model)
            models[name] = {"vocab_size": tokenizer.vocab_size, "sha256": hashlib.sha256(tokenizer.model).hexdigest()}
        meta = {"version": FORMATS[bool(self.placeholders)], "joint": self.joint, "models": models}
        meta |= {"kind": self.src.kind, "normalization": self.src.normalization}
        if self.placeholders:
            meta["placeholders"] = self.placeholders
        (folder / META_FILE).write_text(json.dumps(meta, indent=1) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "TokenizerPair":
        """What `save` wrote. Raises CheckpointError if a file of it is missing, damaged or from a newer version."""
        choices = {"joint": (True, False), "kind": get_args(Kind), "normalization": tuple(NORMAL_FORMS)}
        meta = read_meta(folder / META_FILE, choices)
        sides = [_load_side(folder / name, meta) for name in MODEL_FILES[meta["joint"]]]
        return cls(src=sides[0], tgt=sides[-1], joint=meta["joint"])


def train_tokenizers(
    src_lines: Iterable[str], tgt_lines: Iterable[str], spec: TokenizerSpec, *, max_lines: int = 500_000
) -> TokenizerPair:
    """Trains on the lines of both sides, together if `spec.joint`: the same lines and spec, the same bytes.

    Of a side with more than `max_lines` lines, every 2nd, 4th, 8th ... is used, as few as it takes. From little text
    come fewer pieces than `spec.vocab_size`: `vocab_size` of the result tells how many.
    With placeholders, the lines of the two sides belong together, and are masked as `mask_pair` has it.
    Raises DataError if a side has no text, if `vocab_size` has no room for the characters (it names the least size), or
    for placeholders of kind "word".
    """
    form, sampled = NORMAL_FORMS[spec.normalization], (evenly(lines, max_lines) for lines in (src_lines, tgt_lines))
    src, tgt = ([_training_line(line, form) for line in lines] for lines in sampled)
    if spec.placeholders and src and tgt:
        src, tgt = mask_pairs(src, tgt, spec.placeholders)
    elif spec.placeholders:
        src, tgt = (mask_pairs(side, side, spec.placeholders)[0] for side in (src, tgt))
    src, tgt = in_pieces(src), in_pieces(tgt)
    if spec.joint:
        both = _train(src + tgt, spec, "source and target text")
        return TokenizerPair(both, both, joint=True)
    return TokenizerPair(_train(src, spec, "source text"), _train(tgt, spec, "target text"), joint=False)


def _tidy(text: str) -> str:
    return " ".join(_UNCARRIED.sub("\ufffd", text).split())


def _training_line(line: str, form: Callable[[str], str]) -> str:
    return _tidy(form(line).replace(META_SPACE, "_").replace(_RESERVED_IN_TRAINING, " "))


def _train(lines: list[str], spec: TokenizerSpec, where: str) -> Tokenizer:
    if not lines:
        raise DataError(f"{where}: no text to train a tokenizer on; every line is empty. Give at least one sentence")
    if spec.placeholders and spec.kind == "word":
        raise DataError(
            'tokenizer.placeholders: a "word" tokenizer cuts at spaces only, so symbols would be lost within words; '
            'set tokenizer.kind to "unigram" or "bpe", or tokenizer.placeholders to []'
        )
    symbols = SYMBOLS if spec.placeholders else ()
    least = len(SPECIAL_PIECES) + len(symbols) + 256 * spec.byte_fallback + 1
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
            user_defined_symbols=list(symbols),
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
    return Tokenizer(model.getvalue(), kind=spec.kind, normalization=spec.normalization, placeholders=spec.placeholders)


def _load_side(path: Path, meta: dict[str, Any]) -> Tokenizer:
    content, recorded = read_model(path, meta)
    try:
        tokenizer = Tokenizer(
            content, kind=meta["kind"], normalization=meta["normalization"], placeholders=tuple(meta["placeholders"])
        )
    except RuntimeError as error:
        raise CheckpointError(f"{path}: not a SentencePiece model ({error}); restore it or train again") from error
    if tokenizer.vocab_size != recorded.get("vocab_size"):
        raise CheckpointError(
            f"{path}: {tokenizer.vocab_size} pieces, but {META_FILE} says {recorded.get('vocab_size')}; restore both"
        )
    wanted = SPECIAL_PIECES + SYMBOLS * bool(tokenizer.placeholders)
    if (special := tuple(tokenizer.tokens(range(min(len(wanted), tokenizer.vocab_size))))) != wanted:
        last = len(wanted) - 1
        raise CheckpointError(f"{path}: ids 0 to {last} are {special}, not {wanted}; use a model that nmt trained")
    return tokenizer

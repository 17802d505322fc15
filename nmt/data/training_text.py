"""Which lines, in what pieces, a tokenizer is trained on."""

from collections.abc import Iterable

_TRAINING_CHARS = 1000  # at most 4000 bytes: SentencePiece skips lines over 4192 bytes, refuses words over 8 kB


def evenly(lines: Iterable[str], max_lines: int) -> list[str]:
    """All lines or, of more than `max_lines`, every 2nd, 4th, 8th ...: which ones, their number alone decides."""
    kept: list[str] = []
    stride = 1
    for number, line in enumerate(lines):
        if number % stride == 0:
            kept.append(line)
        if len(kept) > max_lines:
            kept, stride = kept[::2], stride * 2
    return kept


def in_pieces(lines: Iterable[str]) -> list[str]:
    """Pieces that SentencePiece takes, none of them blank."""
    cut = (line[i : i + _TRAINING_CHARS].strip() for line in lines for i in range(0, len(line), _TRAINING_CHARS))
    return [piece for piece in cut if piece]

"""What every form of document gives to be translated, and takes back."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from nmt.translator import Translation


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """The languages that it is translated from and into; everything: so is what has a translation already."""

    src_lang: str
    tgt_lang: str
    everything: bool = False


class Document(Protocol):
    """A document that was read.

    texts: what is to be translated, in order; none is blank, one may hold line breaks. markup: what in a text must come
    back as it is, and as often (None: nothing must).
    """

    texts: Sequence[str]
    markup: re.Pattern[str] | None

    def filled(self, translations: Sequence[Translation]) -> bytes:
        """The document with one translation for each of `texts`; all else as it was read.

        Each has the markup of its text, as `same_markup` has it; one that has not may leave the text as it was.
        """

"""The forms of document that can be translated. Importing this takes the packages of the extra "documents"."""

from collections.abc import Callable, Mapping

from nmt.documents.catalogue import read_po
from nmt.documents.document import Document, Wanted
from nmt.documents.exchange import read_tmx, read_xliff
from nmt.documents.html import read_html
from nmt.documents.markdown import read_markdown
from nmt.documents.subtitles import read_srt, read_vtt

Reader = Callable[[bytes, str, Wanted], Document]  # (content, the name that faults say, what is wanted of it)

FORMATS: Mapping[str, Reader] = {
    "po": read_po,
    "srt": read_srt,
    "vtt": read_vtt,
    "markdown": read_markdown,
    "html": read_html,
    "xliff": read_xliff,
    "tmx": read_tmx,
}


def read_document(form: str, content: bytes, name: str, wanted: Wanted) -> Document:
    """The document that `content` holds, in one of the forms.

    Raises DataError where it is damaged, or of another form.
    """
    return FORMATS[form](content, name, wanted)

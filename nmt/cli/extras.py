"""Packages that only some commands need: the extras of setup.cfg."""

from collections.abc import Iterator
from contextlib import contextmanager

from nmt.errors import NmtError

EXTRAS = {"language": ("py3langid",), "documents": ("translate", "lxml", "markdown_it", "mdurl")}


@contextmanager
def needing(extra: str, what: str) -> Iterator[None]:
    """Raises NmtError, which says what to install, where an import within lacks a package of the extra."""
    try:
        yield
    except ModuleNotFoundError as fault:
        name = (fault.name or "").partition(".")[0]
        if name not in EXTRAS[extra]:
            raise
        raise NmtError(f'{name} is missing: {what} needs pip install "nmt[{extra}]"') from fault

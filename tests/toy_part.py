"""Translations that are interrupted, for tests of what they leave."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from unittest import mock

from toy_run import Result, nmt

from nmt.translate_file import FORMS, Format
from nmt.translator import Translation


@contextmanager
def ctrl_c_at(line: int) -> Iterator[None]:
    """Ctrl-C comes when this line, counted from 0, would be written."""

    def stopping(form: Format) -> Format:
        def stop(number: int, translations: Sequence[Translation]) -> str:
            if number == line:
                raise KeyboardInterrupt
            return form(number, translations)

        return stop

    with mock.patch.dict(FORMS, {name: stopping(form) for name, form in FORMS.items()}):
        yield


def interrupted(*args: object, at: int, stdin: bytes = b"") -> Result:
    """`nmt translate` that Ctrl-C ends at this line, counted from 0."""
    with ctrl_c_at(at):
        result = nmt("translate", *args, stdin=stdin)
    assert result.code == 130, result.err
    return result

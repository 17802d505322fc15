"""What a page in Markdown is made of."""

from collections.abc import Iterable, Sequence

MISSING = "*Not measured yet.*"


def image(words: str, file: str) -> str:
    """An image beside the page."""
    return f"![{words}]({file})"


def table(head: Sequence[str], body: Iterable[Sequence[str]], *, texts: int = 1) -> str:
    """The first `texts` columns on the left, numbers on the right."""
    lines = [head, [*["---"] * texts, *["---:"] * (len(head) - texts)], *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""markdown-it-py, its inline rules wrapped so that each token knows its place."""

from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token


class Element(NamedTuple):
    """An inline token: its place in the text of its block, and where the text that it holds ends (-1: it has none)."""

    token: Token
    begin: int
    end: int
    label_end: int


def _located(rule: Any) -> Any:
    """The rule, noting on each of its tokens where it stands."""

    def run(state: StateInline, silent: bool) -> bool:
        begin, known = state.pos, len(state.tokens)
        if not rule(state, silent):
            return False
        if not silent:
            length = state.pos - begin
            delimiters = state.src[begin] in "*_" and state.tokens and state.tokens[-1].content == state.src[begin]
            if delimiters and len(state.tokens) - known >= length:
                for index, token in enumerate(state.tokens[-length:]):
                    token.meta["at"] = (begin + index, begin + index + 1, -1)
            label = -1
            new = state.tokens[known:]
            if new and new[-1].type == "image":
                label = state.md.helpers.parseLinkLabel(state, begin + 1, False)
            elif new and new[-1].type == "link_close" and new[-1].markup != "autolink":
                label = state.md.helpers.parseLinkLabel(state, begin, True)
            for token in new:
                token.meta.setdefault("at", (begin, state.pos, label))
        return True

    return run


def markdown_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable("inline")
    ruler = parser.inline.ruler
    for name in ruler.get_active_rules():
        if name != "text":
            ruler.at(name, _located(next(rule.fn for rule in ruler.__rules__ if rule.name == name)))
    return parser

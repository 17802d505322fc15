"""markdown-it-py, its inline rules wrapped so that each token knows its place."""

import re
from typing import Any, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

# What GitHub, Jekyll and others add to Markdown: a note "[^1]: ...", behind which a link's "[label]: ..." may stand at
# once, and a definition ": ..."; and, as lines of their own, "> [!NOTE]", ":::tip" and "{% include x %}".
_NOTE = re.compile(r"\[(?:[^\[\]\\]|\\.)+\]:|:[ \t]")
_DIRECTIVE = re.compile(r":{3,}.*|\{%.*%\}|\{\{.*\}\}|\[!\w+\]")


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


def _own_line(state: StateBlock, start: int, _end: int, silent: bool) -> bool:
    """A block rule: a directive is a block without text, and neither it nor a note goes on with a paragraph."""
    line = state.src[state.bMarks[start] + state.tShift[start] : state.eMarks[start]].rstrip()
    if _DIRECTIVE.fullmatch(line):
        if not silent:
            state.line = start + 1
        return True
    return silent and _NOTE.match(line) is not None


def markdown_parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark").enable("table")
    parser.core.ruler.disable("inline")
    parser.block.ruler.before(
        "reference", "own_line", _own_line, {"alt": ["paragraph", "reference", "blockquote", "list"]}
    )
    ruler = parser.inline.ruler
    for name in ruler.get_active_rules():
        if name != "text":
            ruler.at(name, _located(next(rule.fn for rule in ruler.__rules__ if rule.name == name)))
    return parser

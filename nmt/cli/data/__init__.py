"""`nmt data`: commands for corpora."""

import click

from nmt.cli.data.check import check
from nmt.cli.data.clean import clean
from nmt.cli.data.convert import convert
from nmt.cli.data.split import split

COMMANDS: tuple[click.Command, ...] = (check, convert, clean, split)


@click.group()
def data() -> None:
    """Look at parallel text, clean it, split it, convert it."""


for command in COMMANDS:
    data.add_command(command)

"""`nmt data`: commands for corpora."""

import click

COMMANDS: tuple[click.Command, ...] = ()


@click.group()
def data() -> None:
    """Look at parallel text, clean it, split it, convert it."""


for command in COMMANDS:
    data.add_command(command)

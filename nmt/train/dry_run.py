"""What a recipe would do, without doing it."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from nmt.model.seq2seq import build_model
from nmt.recipe import toml_value
from nmt.recipe_file import LoadedRecipe, flat
from nmt.train.prepare import describe, open_corpora


def show(loaded: LoadedRecipe, console: Console) -> None:
    """Print every key with its value and origin, the parameter count and the corpus sizes."""
    table = Table("key", "value", "from", box=None)
    for key, value in flat(loaded.recipe).items():
        table.add_row(key, Text(toml_value(value)), Text(loaded.origins[key]))
    console.print(table)
    size = loaded.recipe.tokenizer.vocab_size
    model = build_model(loaded.recipe.model, src_vocab_size=size, tgt_vocab_size=size)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    console.print(f"model: {parameters:,} parameters, with {size:,} pieces a vocabulary", highlight=False)
    for line in describe(open_corpora(loaded.recipe.data)):
        console.print(line, soft_wrap=True, highlight=False, markup=False)

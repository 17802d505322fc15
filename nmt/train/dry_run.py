"""What a recipe would do, without doing it."""

from rich.console import Console

from nmt.model.build import build_model
from nmt.recipe_file import LoadedRecipe, flat
from nmt.recipe_keys import toml_value
from nmt.train.prepare import describe, open_corpora


def show(loaded: LoadedRecipe, console: Console) -> None:
    """Print every key with its value and origin, the parameter count and the corpus sizes."""
    values = {key: toml_value(value) for key, value in flat(loaded.recipe).items()}
    width = max(map(len, values))
    lines = [f"{key:<{width}}  {value:<12}  {loaded.origins[key]}" for key, value in values.items()]
    size = loaded.recipe.tokenizer.vocab_size
    model = build_model(loaded.recipe.model, src_vocab_size=size, tgt_vocab_size=size)
    parameters = sum(parameter.numel() for parameter in model.parameters())
    lines.append(f"model: {parameters:,} parameters, with {size:,} pieces a vocabulary")
    for line in [*lines, *describe(open_corpora(loaded.recipe.data))]:
        console.print(line, soft_wrap=True, highlight=False, markup=False)

"""A trained model as a folder for others: to serve it, to publish it, to read it with other tools.

config.json          the [model] and [tokenizer] sections of the recipe, languages, format, version of nmt
model.safetensors    the weights, in float32
tokenizer/           as in a run folder
recipe.toml          the resolved recipe, with which `nmt translate` reads the folder as it reads a run; its search as
                     `nmt tune` left it, without paths of this machine
shortlist.safetensors   where the run has one
README.md            the model card: what it is, its scores with their signatures
manifest.json        SHA-256 of all of these
"""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nmt.errors import CheckpointError, OutputError
from nmt.recipe import Recipe
from nmt.recipe_file import recipe_toml
from nmt.run_dir import (
    FORMAT,
    MANIFEST,
    MODEL,
    RECIPE,
    SCORES,
    SHORTLIST,
    TOKENIZER,
    load_model,
    sha256,
    write_bytes,
    write_json,
)
from nmt.search_file import searched

CONFIG, CARD = "config.json", "README.md"


def export(run: Path, out: Path) -> Path:
    """Write the model of a run folder into `out`, which `nmt.load` and `nmt translate` read; gives back `out`.

    Writing again over an earlier export of it is fine. Raises CheckpointError where the run is missing or damaged, and
    OutputError where `out` holds anything that is no part of an export.
    """
    saved = load_model(run)
    extra = [SHORTLIST] if (run / SHORTLIST).is_file() else []
    vocabularies = sorted(file.relative_to(run).as_posix() for file in (run / TOKENIZER).iterdir() if file.is_file())
    copied = [MODEL, *extra, *vocabularies]
    _claim(out, {*copied, RECIPE, SHORTLIST, CONFIG, CARD, MANIFEST})
    (out / MANIFEST).unlink(missing_ok=True)  # a folder without one is no model: so one cut short is never read
    for name in copied:
        write_bytes(out / name, (run / name).read_bytes())
    if not extra:
        (out / SHORTLIST).unlink(missing_ok=True)
    recipe = _without_paths(searched(run, saved.recipe))
    write_bytes(out / RECIPE, recipe_toml(recipe).encode("utf-8"))
    write_json(out / CONFIG, _config(recipe))
    weights = saved.model.weights()
    parameters = sum(tensor.numel() for tensor in weights.values())
    write_bytes(out / CARD, model_card(recipe, parameters, _scores(run)).encode("utf-8"))
    sums = {name: sha256(out / name) for name in (*copied, RECIPE, CONFIG, CARD)}
    write_json(out / MANIFEST, {"format": FORMAT, "nmt": version("nmt"), "files": sums})
    return out


def _without_paths(recipe: Recipe) -> Recipe:
    """The recipe as it would stand beside its text: folders of the machine it was trained on are no one's business."""
    sets = {key: tuple(Path(name).name for name in getattr(recipe.data, key)) for key in ("train", "valid", "test")}
    data = recipe.data.model_copy(update={"folder": "", **sets})
    return recipe.model_copy(update={"data": data, "tokenizer": recipe.tokenizer.model_copy(update={"run": ""})})


def model_card(recipe: Recipe, parameters: int, scores: list[dict[str, Any]]) -> str:
    """Markdown: what the model is and does, its scores, how to use it."""
    model, data = recipe.model, recipe.data
    attention = "no attention" if model.attention == "none" else f"attention `{model.attention}`"
    lines = [
        f"# {recipe.name}: {data.src_lang} to {data.tgt_lang}",
        "",
        f"A recurrent translation model of {parameters:,} parameters, trained with nmt {version('nmt')}: "
        f"{model.architecture.replace('_', '-')}, cell `{model.cell}`, encoder {model.encoder_layers} x "
        f"{model.encoder_dim}, decoder {model.decoder_layers} x {model.decoder_dim}, {attention}, embeddings of "
        f"{model.embed_dim}. Its vocabulary: {recipe.tokenizer.kind}, {recipe.tokenizer.vocab_size} pieces.",
        "",
        "## Scores",
        "",
    ]
    if scores:
        lines += ["| test set | metric | score | beam | sentences | signature |", "|---|---|---|---|---|---|"]
        lines += [
            f"| {row['test_set']} | {row['metric']} | {row['score']:.2f} | {row['beam_size']} | {row['sentences']} | "
            f"`{row['signature']}` |"
            for row in scores
        ]
    else:
        lines.append("Not measured: `nmt evaluate` scores it.")
    lines += ["", "## Use", "", "```", "nmt translate FOLDER input.txt --output output.txt", "```", ""]
    return "\n".join(lines)


def _config(recipe: Recipe) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "nmt": version("nmt"),
        "name": recipe.name,
        "src_lang": recipe.data.src_lang,
        "tgt_lang": recipe.data.tgt_lang,
        "model": recipe.model.model_dump(mode="json"),
        "tokenizer": recipe.tokenizer.model_dump(mode="json"),
    }


def _scores(run: Path) -> list[dict[str, Any]]:
    path = run / SCORES
    if not path.is_file():
        return []
    try:
        rows = json.loads(path.read_bytes())
        wanted = ("test_set", "metric", "score", "beam_size", "sentences", "signature")
        return [{name: row[name] for name in wanted} for row in rows]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: damaged: {error}; `nmt evaluate {run}` writes it anew") from error


def _claim(out: Path, ours: set[str]) -> None:
    """Raises OutputError unless `out` is free, or holds only what an export writes."""
    if out.exists() and not out.is_dir():
        raise OutputError(f"{out}: is a file; name a folder")
    found = {file.relative_to(out).as_posix() for file in out.rglob("*") if not file.is_dir()}
    if strangers := sorted(found - ours):
        raise OutputError(f"{out}: holds {strangers[0]}, which is no part of an export; name a new or an empty folder")

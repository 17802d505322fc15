"""The script from nothing to a translator for software text: what it asks of the programs it calls, which are stubs."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from toy_run import ROOT

# Each stub writes down how it was called and makes the files that the next step looks for.
STUBS = {
    "bin/python": 'echo "$@" >> log; touch "$3"',
    "bin/nmt": """
echo nmt "$@" >> log
case "$2" in
clean) touch "$5" ;;
split)
    while [ "$1" != -o ]; do shift; done
    mkdir -p "$2"; touch "$2/split.json"
    for name in descriptions libreoffice_help gettext ding; do echo "$name" > "$2/$name.test.jsonl"; done ;;
esac
""",
    "recipes/run.sh": 'echo run.sh "$@" >> log',
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in STUBS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/usr/bin/env bash\n{text}\n")
        path.chmod(0o755)
    shutil.copy(ROOT / "recipes" / "software.sh", tmp_path / "recipes")
    return tmp_path


def calls(folder: Path, *args: str) -> list[str]:
    """What it called, in order."""
    (folder / "log").write_text("")
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(["recipes/software.sh", *args], cwd=folder, env={**os.environ, "PATH": path}, check=True)
    return (folder / "log").read_text().split("\n")[:-1]


@pytest.mark.parametrize("pair", ["de-en", "en-de", "en-fr"])
def test_each_source_is_fetched_and_cleaned_then_all_are_split_and_trained_on(folder: Path, pair: str) -> None:
    found = calls(folder, pair)
    lang = pair.replace("en", "").strip("-")
    sources = ["descriptions", "libreoffice_help", "gettext", *(["ding"] if lang == "de" else [])]
    fetched = [call.split()[:3] for call in found if "fetch_" in call]
    assert [(language, out) for _, language, out in fetched] == [
        (lang, f"software/{lang}/{source}.jsonl") for source in sources
    ]
    for tool, _, _ in fetched:
        assert (ROOT / "tools" / Path(tool).name).is_file()
    cleaned = [call.split()[3] for call in found if call.startswith("nmt data clean")]
    assert cleaned == [f"software/{lang}/{source}.jsonl" for source in sources]
    src, tgt = pair.split("-")
    assert f"--src-lang {src} --tgt-lang {tgt}" in found[-2]
    assert found[-2].startswith("nmt data split") and found[-2].count("/clean/") == len(sources)
    assert found[-1] == f"run.sh software-{pair} --set data.folder={folder.resolve()}/software/{pair}"
    assert (folder / "software" / pair / "all.test.jsonl").read_text().split() == sources


def test_what_is_there_is_not_done_again(folder: Path) -> None:
    calls(folder, "de-en", "text")
    found = calls(folder, "de-en", "text", "--set", "train.max_steps=10")
    assert found == [f"run.sh software-de-en --set data.folder={folder.resolve()}/text/de-en --set train.max_steps=10"]


def test_a_text_that_was_fetched_anew_is_cleaned_anew(folder: Path) -> None:
    calls(folder, "en-fr")
    raw = folder / "software/fr/gettext.jsonl"
    os.utime(raw, (2**31, 2**31))  # newer than all else
    found = calls(folder, "en-fr")
    assert [call.split()[3] for call in found if "data clean" in call] == ["software/fr/gettext.jsonl"]
    assert found[-2].endswith("--like software/en-fr/split.json")


def test_without_a_pair_it_says_how_it_is_called(folder: Path) -> None:
    done = subprocess.run([folder / "recipes/software.sh"], check=False, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 2
    assert "recipes/software.sh de-en [FOLDER]" in done.stdout

"""The rates that the detector's tool prints."""

import gzip
import json
from pathlib import Path

from click.testing import CliRunner
from language_errors import main

GERMAN = "Das ist der Hund von meiner Mutter, und er schläft immer unter dem Tisch in der Küche."
ENGLISH = "This is the dog of my mother, and he always sleeps under the table in the kitchen."


def test_false_alarms_and_what_is_told_are_counted_over_the_texts_asked_for(tmp_path: Path) -> None:
    lines, pairs = tmp_path / "text.de.gz", tmp_path / "text.jsonl"
    lines.write_bytes(gzip.compress(f"{GERMAN}\n{ENGLISH}\n{GERMAN}\n{ENGLISH}\n{GERMAN}\n".encode()))
    pairs.write_text(3 * (json.dumps({"translation": {"de": GERMAN, "en": ENGLISH}}) + "\n"))
    for arguments, texts, false_alarms, told in [
        ([lines, "de", "en"], 5, 2, 3),
        ([lines, "de", "en", "--every", "2"], 3, 0, 3),
        ([lines, "de", "en", "--count", "2"], 2, 1, 1),
        ([pairs, "de", "en"], 3, 0, 3),
    ]:
        done = CliRunner().invoke(main, list(map(str, arguments)), catch_exceptions=False)
        assert json.loads(done.output) == {"texts": texts, "not de": false_alarms, "not en": told}

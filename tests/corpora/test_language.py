import pytest

pytest.importorskip("py3langid")

from nmt.corpora.language import WrongLanguage, other_language

GERMAN = "Zwei junge Männer stehen vor einem kleinen Haus und warten auf den Bus."
ENGLISH = "Two young men are standing in front of a small house and wait for the bus."


@pytest.mark.parametrize(("text", "language"), [(GERMAN, "de"), (ENGLISH, "en"), (ENGLISH, "en_GB"), ("", "de")])
def test_a_text_in_its_language_passes(text: str, language: str) -> None:
    assert other_language(text, language) is None


@pytest.mark.parametrize(
    ("text", "language", "other"),
    [
        (GERMAN, "en", "de"),
        (ENGLISH, "de", "en"),
        (ENGLISH.upper(), "de", None),
        ("Мальчик играет в парке со своей большой собакой", "de", "ru"),
        ("二人の若い男性が小さな家の前でバスを待っています", "de", "ja"),
    ],
)
def test_a_text_in_another_language_is_told(text: str, language: str, other: str | None) -> None:
    assert other_language(text, language) == other


@pytest.mark.parametrize("text", ["the bus", "GNU Emacs 29.1", "Qt Quick Controls Dialogs", "12 345 6789 012"])
def test_short_texts_names_and_numbers_are_not_judged(text: str) -> None:
    assert other_language(text, "de") is None


def test_a_language_that_the_model_lacks_is_not_judged() -> None:
    assert other_language(ENGLISH, "tlh") is None


def test_kin_are_not_told_apart() -> None:
    assert other_language("To unge menn står foran et lite hus og venter på bussen i byen.", "da") is None


def test_a_pair_is_wrong_where_one_side_is() -> None:
    wrong = WrongLanguage("de", "en")
    assert [wrong(*pair) for pair in [(GERMAN, ENGLISH), (GERMAN, GERMAN), (ENGLISH, ENGLISH)]] == [False, True, True]


@pytest.mark.parametrize("text", ["Palette Type", "Mister Schneider", "Para Orphans", "New York City Council Member"])
def test_names_and_headlines_are_not_judged(text: str) -> None:
    """Words in capitals alone are no script without letter case."""
    assert other_language(text, "en") is None

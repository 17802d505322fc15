import bz2
import gzip
import io
import itertools
import lzma
import os
import subprocess
import sys
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data import lines
from nmt.data.lines import TextFile, copy_pipes, decode_lines, read_line_pairs, read_lines
from nmt.errors import DataError

ODD = ["\r", "\n", "\r\n", "\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x00", "\ufeff", "é", "𐍈", "a", " "]
FIRST = "a line of its own\n"  # what a stream begins with tells what it is: the examples come after


def decoded(data: bytes, **options) -> list[str]:
    return list(decode_lines(io.BytesIO(data), "standard input", **options))


def fault_of(data: bytes, **options) -> str:
    with pytest.raises(DataError) as caught:
        decoded(data, **options)
    return str(caught.value)


class OneByteAtATime(io.RawIOBase):
    def __init__(self, data: bytes) -> None:
        self.left = iter(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return bytes(itertools.islice(self.left, 1))


@given(st.lists(st.sampled_from(ODD) | st.text(max_size=3)).map("".join))
def test_count_is_that_of_wc_plus_one_for_an_unterminated_last_line(text):
    data = (FIRST + text).encode()
    assert len(decoded(data)) == data.count(b"\n") + (not data.endswith(b"\n"))


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\n")), min_size=1))
def test_what_was_joined_by_newlines_comes_back_whatever_it_holds(texts):
    texts = [text.rstrip("\r") for text in texts]
    for end in ("\n", "\r\n"):
        assert decoded((FIRST + "".join(text + end for text in texts)).encode())[1:] == texts


@given(st.lists(st.sampled_from(ODD)).map("".join))
def test_the_size_of_the_reads_changes_nothing(text):
    data = ("\ufeff" + FIRST + text).encode()
    assert list(decode_lines(OneByteAtATime(data), "slow")) == decoded(data)


def test_lines_split_across_blocks_are_put_together():
    texts = [f"{number} " * number for number in range(700)]  # 1.6 MB, so many blocks
    assert decoded("".join(text + "\r\n" for text in texts).encode()) == texts


def test_one_carriage_return_goes_with_the_newline_and_others_stay():
    assert decoded(b"a\r\r\nb\r\r\nc\rd\ne\r") == ["a\r", "b\r", "c\rd", "e\r"]


def test_a_byte_order_mark_is_dropped_at_the_start_only():
    assert decoded("\ufeffa\n\ufeffb\n".encode()) == ["a", "\ufeffb"]
    assert decoded("\ufeff".encode()) == decoded(b"") == []


def test_gzip_is_told_by_content_and_a_name_proves_nothing(tmp_path):
    packed, plain = tmp_path / "packed.txt", tmp_path / "plain.gz"
    packed.write_bytes(gzip.compress(b"a\nb\n"))
    plain.write_bytes(b"a\nb\n")
    assert list(read_lines(packed)) == list(read_lines(plain)) == ["a", "b"]


def test_gzip_members_and_padding_are_read_through():
    assert decoded(gzip.compress(b"a\nb") + gzip.compress(b"c\n") + b"\0" * 600) == ["a", "bc"]


def test_gzip_of_many_blocks_is_unpacked_to_the_last_line():
    texts = ["the same words again"] * 200_000  # 4 MiB that pack so well that the input is used up early
    assert decoded(gzip.compress("".join(text + "\n" for text in texts).encode())) == texts


@pytest.mark.parametrize("kept", [5, 0.5, -1, -8])
def test_truncated_gzip_is_told_in_plain_words(kept):
    data = gzip.compress(os.urandom(20_000).hex().encode() + b"\n")
    cut = int(len(data) * kept) if kept == 0.5 else kept
    assert "standard input: the gzip data breaks off before its end; fetch or pack" in fault_of(data[:cut])


def test_damaged_gzip_is_told():
    data = bytearray(gzip.compress(b"some words\n" * 10))
    data[-6] ^= 1  # in the checksum
    assert "standard input: damaged gzip data" in fault_of(bytes(data))


def test_a_gzip_bomb_is_refused_and_not_swallowed(monkeypatch):
    monkeypatch.setattr(lines, "BOMB_FREE_BYTES", 1 << 20)
    bomb = gzip.compress(b"a\n" * (2 << 20))  # short lines, so that it is not the length of a line that stops it
    read = 0
    with pytest.raises(DataError, match="grows over 200-fold"):
        for _ in decode_lines(io.BytesIO(bomb), "bomb.gz"):
            read += 2
    assert read <= lines.BOMB_FREE_BYTES


def test_a_line_over_the_limit_is_refused_before_it_is_read_whole():
    endless = io.BufferedReader(Zeros())
    with pytest.raises(DataError, match=r"^/dev/zero:1: a line of over 16 MiB; one sentence a line"):
        next(decode_lines(endless, "/dev/zero"))
    assert endless.tell() < lines.MAX_LINE_BYTES + (1 << 20)


class Zeros(io.RawIOBase):
    position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def readinto(self, buffer) -> int:
        buffer[:] = bytes(len(buffer))
        self.position += len(buffer)
        return len(buffer)


def test_a_line_of_just_the_limit_is_read_and_the_number_of_a_longer_one_is_told(monkeypatch):
    monkeypatch.setattr(lines, "MAX_LINE_BYTES", 1 << 17)
    full = b"x" * (1 << 17)
    assert decoded(full + b"\n" + full) == [full.decode()] * 2
    assert fault_of(b"a\nb\n" + full + b"x\n").startswith("standard input:3: a line of over")


def tar_of(member: str) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(member))
    return packed.getvalue()


def zip_of(member: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(zipfile.ZipInfo(member), "text\n")
    return packed.getvalue()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (tar_of("../../evil"), "a tar archive"),
        (gzip.compress(tar_of("../../evil"), mtime=0), "a tar archive"),
        (zip_of("../evil"), "a zip archive"),
        (b"PK\x05\x06" + bytes(18), "a zip archive"),  # an empty one
        (bz2.compress(b"text\n"), "bzip2 data"),
        (lzma.compress(b"text\n"), "xz data"),
        (b"\x28\xb5\x2f\xfd\x20\x05\x29\x00\x00text\n", "Zstandard data"),
        (b"7z\xbc\xaf\x27\x1c\x00\x04", "a 7-Zip archive"),
        (gzip.compress(gzip.compress(b"text\n", mtime=0), mtime=0), "gzip data within gzip data"),
    ],
)
def test_archives_are_refused_with_advice_and_nothing_is_extracted(data, kind, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert fault_of(data) == f"standard input: this is {kind}, not text; unpack it first and name a text file from it"
    assert fault_of(data, errors="replace") == fault_of(data)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(encoding):
    russian = "Привет, как дела у вас сегодня? Спасибо, у меня всё очень хорошо, и я сейчас иду домой.\n"
    for text in (russian, "Guten Morgen!\n", "Hallo"):
        assert "looks like UTF-16, but UTF-8 is wanted; convert it with `iconv" in fault_of(text.encode(encoding))


@pytest.mark.parametrize("text", ["a\0b\0c", "words\0and\0words\0and\0words\0so", "\0" * 40, "one \0 two \0" * 9])
def test_text_with_nuls_in_it_is_text(text):
    assert decoded(f"{text}\n{text}\n".encode()) == [text, text]


def test_what_is_not_utf_8_is_placed_by_line_and_byte():
    assert fault_of(b"ok\nab\xfcc\n").startswith("standard input:2:3: byte 0xFC is not UTF-8 here; save the file as")
    assert fault_of(b"\xef\xbb\xbfab\xfcc\n").startswith("standard input:1:6: byte 0xFC")
    assert fault_of(b"ok\n\xed\xa0\x80\n").startswith("standard input:2:1: byte 0xED")  # half of a surrogate pair
    assert fault_of(b"ok\ncut \xc3").startswith("standard input:2:5: byte 0xC3")


def test_errors_replace_reads_on_with_a_replacement_character():
    assert decoded(b"ab\xfcc\nok\n", errors="replace") == ["ab\ufffdc", "ok"]


def test_missing_folder_and_unreadable_files_are_told(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    cases = [("none", "there is no such file; check its name"), ("", "a folder, where a text file is wanted")]
    for name, words in [*cases, *((name, "cannot be opened for reading") for name in ("loop", "nul\0", "n" * 300))]:
        with pytest.raises(DataError) as caught:
            list(read_lines(tmp_path / name))
        assert str(caught.value).startswith(f"{tmp_path / name}: {words}")


def test_a_disk_that_fails_while_reading_is_told():
    class Failing(io.RawIOBase):
        def read(self, size: int = -1) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(DataError, match=r"tape: cannot be read .*Input/output error.*; check the file and the disk"):
        list(decode_lines(Failing(), "tape"))


def test_a_line_is_handed_on_before_the_next_one_is_written(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with os.fdopen(os.open(pipe, os.O_RDWR), "wb", buffering=0) as writer:
        reader = read_lines(pipe)
        for text in ("hello", "", "wörld"):
            writer.write(f"{text}\n".encode())
            assert next(reader) == text
        reader.close()


def test_pipes_that_one_writer_fills_by_turns_are_copied_without_a_deadlock(tmp_path):
    pipes = [tmp_path / "a", tmp_path / "b"]
    for pipe in pipes:
        os.mkfifo(pipe)

    def write():
        with pipes[0].open("wb") as first, pipes[1].open("wb") as second:
            for _ in range(40):
                second.write(b"b\n" * 5000)
                first.write(b"a\n" * 5000)

    threading.Thread(target=write, daemon=True).start()
    (tmp_path / "file").touch()
    copies = copy_pipes([*pipes, tmp_path / "file"], tmp_path)
    assert list(copies) == pipes
    assert [copies[pipe].read_bytes() for pipe in pipes] == [b"a\n" * 200_000, b"b\n" * 200_000]


def test_a_fault_while_copying_a_pipe_reaches_the_caller(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileNotFoundError):
        copy_pipes([tmp_path / "pipe"], tmp_path / "no such folder")


def pair_up(tmp_path: Path, src: list[str], tgt: list[str]) -> str:
    files = []
    for name, texts in (("t.de", src), ("t.en", tgt)):
        (tmp_path / name).write_text("".join(text + "\n" for text in texts))
        files.append(TextFile(tmp_path / name, name))
    with pytest.raises(DataError) as caught:
        list(read_line_pairs(*files))
    return str(caught.value)


SIDE = ["word " * (1 + number * 7 % 11) for number in range(60)]


@pytest.mark.parametrize("lost", [1, 3])
def test_unequal_files_are_told_with_both_counts_and_the_line_from_which_they_are_shifted(tmp_path, lost):
    fault = pair_up(tmp_path, SIDE, SIDE[:20] + SIDE[20 + lost :])
    assert fault.startswith(f"t.de has 60 lines, but t.en has {60 - lost}; line N of the one must translate line N")
    assert fault.endswith("looks shifted from line 21 on")
    assert pair_up(tmp_path, SIDE[:20] + SIDE[20 + lost :], SIDE).startswith("t.en has 60 lines, but t.de has")


def test_a_side_that_is_cut_off_is_not_called_shifted(tmp_path):
    for left in (0, 25, 59):
        fault = pair_up(tmp_path, SIDE, SIDE[:left])
        assert fault.endswith("no line of those that pair up stands out: is the shorter file cut off at its end?")


def test_the_first_line_with_one_side_blank_is_told(tmp_path):
    assert pair_up(tmp_path, ["eins", "", "zwei", "", "vier!"], ["four", "three", "five", "seven"]).endswith(
        "length is 2"
    )


def test_reading_lines_needs_no_heavy_library():
    code = "import sys, nmt.data.lines; print(sorted({'datasets', 'pyarrow', 'torch', 'numpy'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"

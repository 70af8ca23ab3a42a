"""Files that are whole or absent, JSON objects, and where a verb may write."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from selftaught.core.files import (
    cache_root,
    check_out,
    check_out_folder,
    digest,
    draft_of,
    read_object,
    told_as,
    written_whole,
)


def test_an_error_of_a_draft_names_what_was_asked_for(tmp_path: Path) -> None:
    draft, asked = tmp_path / ".model.part", tmp_path / "model"
    with pytest.raises(OSError, match=r"model'$") as told, told_as(draft, asked):
        (draft / "weights").read_bytes()
    assert told.value.filename == str(asked)
    with pytest.raises(OSError, match="other") as kept, told_as(draft, asked):
        (tmp_path / "other").read_bytes()
    assert str(kept.value.filename) == str(tmp_path / "other")


def test_a_file_gets_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text("old")
    with written_whole(path) as draft:
        draft.write_text("new")
        assert draft == draft_of(path) == tmp_path / ".a.json.part"
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    with pytest.raises(FileNotFoundError), written_whole(path) as draft:
        draft.with_name("nothing").replace(draft)
    assert path.read_text() == "new"
    assert [file.name for file in tmp_path.iterdir()] == ["a.json"]


def test_a_system_error_without_a_name_gets_that_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left") as caught, written_whole(tmp_path / "a"):
        raise OSError(28, "No space left on device")
    assert caught.value.filename == str(tmp_path / "a")
    with pytest.raises(FileNotFoundError) as caught, written_whole(tmp_path / "none" / "a"):
        pass
    assert caught.value.filename == str(tmp_path / "none" / "a")


def test_two_that_write_one_file_do_so_one_after_the_other(tmp_path: Path) -> None:
    path, begun = tmp_path / "a", threading.Event()

    def second(new: bool) -> None:
        begun.set()
        with written_whole(path, new=new) as draft:
            draft.write_text("second")

    for new, text in ((False, "second"), (True, "first")):
        path.unlink(missing_ok=True)
        begun.clear()
        with ThreadPoolExecutor() as pool:
            with written_whole(path) as draft:
                waits = pool.submit(second, new)
                begun.wait()
                draft.write_text("fir")
                time.sleep(0.05)
                with draft.open("a") as file:
                    file.write("st")
            waits.result(timeout=120)
        assert path.read_text() == text
        assert [file.name for file in tmp_path.iterdir()] == ["a"]


def test_a_digest_keeps_its_parts_apart_and_takes_any_name() -> None:
    assert digest(["ab", "c"]) != digest(["a", "bc"])
    assert digest(["a"]) != digest(["a", ""])
    assert len(digest([os.fsdecode(b"caf\xe9")])) == 32


def test_the_cache_is_where_the_environment_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    assert cache_root() == tmp_path
    monkeypatch.delenv("SELFTAUGHT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_root() == tmp_path / "xdg" / "selftaught"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_root() == tmp_path / "home" / ".cache" / "selftaught"


def test_a_file_that_may_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "plain").write_text("mine")
    forms = {".csv": "csv", ".npy": "npy"}
    assert check_out(tmp_path / "new.CSV", forms, overwrite=False) == tmp_path / "new.CSV"
    assert check_out(tmp_path / "any.txt", {}, overwrite=False) == tmp_path / "any.txt"
    assert check_out(tmp_path / "there.csv", forms, overwrite=True) == tmp_path / "there.csv"
    for name, sentence in {
        "": "is a folder; give the name of a file",
        "new.txt": "must end with one of .csv, .npy, which says the form of the file",
        "there.csv": "is there already; give another name, or --overwrite to replace it",
        "plain/new.csv": f"{tmp_path / 'plain'} is not a folder; give another place",
    }.items():
        with pytest.raises(ValueError, match=f"^--out {tmp_path / name}:? {sentence}$"):
            check_out(tmp_path / name, forms, overwrite=False)


def test_a_folder_that_may_not_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("mine")
    check_out_folder(tmp_path)
    check_out_folder(tmp_path / "new" / "deeper")
    with pytest.raises(ValueError, match=r"plain is a file; give a new or empty folder$"):
        check_out_folder(tmp_path / "plain")
    with pytest.raises(ValueError, match=r"plain is not a folder; give another place$"):
        check_out_folder(tmp_path / "plain" / "run")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is damaged (Expecting property name"),
        ("[" * 200_000, "is damaged (it is nested too deeply)"),
        ("[1]", "holds a list where an object is expected; remove it or write it again"),
        ("null", "holds a NoneType where an object is expected"),
    ],
)
def test_what_is_no_json_object_is_one_sentence(content: str, words: str, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_object(tmp_path / "a.json") == {"a": 1}
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"damaged|holds") as caught:
        read_object(tmp_path / "a.json")
    assert str(caught.value).startswith(f"{tmp_path / 'a.json'} {words}")

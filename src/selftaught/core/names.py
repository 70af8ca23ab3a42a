"""Unknown names answer with the near matches and the full list."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

NEAR = 0.65
"""How alike two names must be for one to be meant by the other, from 0 to 1: "predict" is not "pretrain"."""


def unknown_name(what: str, got: str, known: Sequence[str], *, nearest: str | None = None) -> str:
    """One sentence: `unknown task 'rotatoin'; did you mean rotation? Known: ...`.

    `nearest` is the one that does nearly what others call by this name.
    """
    if nearest is not None:
        return f"unknown {what} {got!r}; the nearest here is {nearest}. Known: {', '.join(known)}"
    near = difflib.get_close_matches(got, known, n=3, cutoff=NEAR)
    hint = f"; did you mean {' or '.join(near)}?" if near else ";"
    return f"unknown {what} {got!r}{hint} Known: {', '.join(known)}"


def short_task(name: str) -> str:
    """A task as headlines name it: "rotation", "my_task" of path/to/my_task.py, or "jigsaw+my_task" of several."""
    parts = [part for part in name.split("+") if part]
    return "+".join(_stem(part) for part in parts) or name


def _stem(name: str) -> str:
    # A name that is neither a file nor a dotted module, as a strange config.json may hold, is shown as it is.
    if name.endswith(".py"):
        return name.replace("\\", "/").rpartition("/")[2].removesuffix(".py")
    return name.rpartition(".")[2] if all(part.isidentifier() for part in name.split(".")) else name


def printable(name: str) -> str:
    """A file's name as text that can be written anywhere.

    Bytes that are no UTF-8, which Python keeps as lone surrogates, become escapes such as `\\xff`, so that two names
    stay two; every other name is left as it is.
    """
    # surrogatepass: what a JSON file or an archive gave as a surrogate stands for no byte.
    try:
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    except UnicodeEncodeError:
        return name.encode("utf-8", "surrogatepass").decode("utf-8", "backslashreplace")


def one_line(text: str) -> str:
    """`printable` text on one line, for a terminal or a message: control characters become escapes too."""
    return "".join(
        char if char.isprintable() or char == " " else char.encode("unicode_escape").decode()
        for char in printable(text)
    )


def text_cell(text: str) -> str:
    """Text as a cell of a CSV file: what a spreadsheet would compute, such as =1+1, gets an apostrophe before it.

    A carriage return becomes the two characters `\\r`: the csv module writes it bare and then cannot read it.
    """
    cell = f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
    return cell.replace("\r", "\\r")

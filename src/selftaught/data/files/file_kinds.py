"""Kind of a file by the suffix of its name or, without one, by its first bytes."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping

HEIF_SUFFIXES = frozenset({".heic", ".heif"})
"""Read where the optional package pillow-heif is installed."""
HAS_PYDICOM = importlib.util.find_spec("pydicom") is not None
HAS_TIFFFILE = importlib.util.find_spec("tifffile") is not None
DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".ima"})
"""Read where the optional package pydicom is installed."""
SLIDE_SUFFIXES = frozenset({".svs", ".ndpi", ".scn", ".bif", ".lsm", ".stk", ".btf", ".tf2", ".tf8"})
"""Kinds of TIFF under other names, read where the optional package tifffile is installed."""
TIFF_SUFFIXES = frozenset({".tif", ".tiff", *SLIDE_SUFFIXES})
ARRAY_SUFFIXES = frozenset({".npy", ".npz"})
"""Read where there are no other images: beside images they hold features or masks."""
IMAGE_SUFFIXES = frozenset(
    {
        ".jpg", ".jpeg", ".jfif", ".jpe", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm", ".pgm",
        ".pbm", ".pnm", ".jp2", ".avif", ".tga",
        *(HEIF_SUFFIXES if importlib.util.find_spec("pillow_heif") else ()),
        *(DICOM_SUFFIXES if HAS_PYDICOM else ()),
        *(SLIDE_SUFFIXES if HAS_TIFFFILE else ()),
    }
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {
        ".mp4", ".mkv", ".avi", ".mpg", ".mpeg", ".webm", ".mov", ".m4v", ".wmv", ".asf", ".flv", ".f4v",
        ".3gp", ".3g2", ".ts", ".mts", ".m2ts", ".vob", ".mxf", ".y4m", ".ogv", ".mpe", ".m1v", ".m2v",
        ".mjpeg", ".mjpg", ".qt", ".divx", ".dv", ".h264", ".264", ".h265", ".265", ".hevc",
        ".ivf", ".mj2", ".nut", ".rm", ".rmvb", ".ogm", ".amv",
    }
)  # fmt: skip
SOUND_SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"})
"""Of files that hold sound alone."""
_COMPANIONS = frozenset(
    {
        ".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".md", ".rst", ".yaml", ".yml", ".toml", ".ini",
        ".cfg", ".conf", ".html", ".htm", ".css", ".js", ".py", ".ipynb", ".sh", ".bat", ".m", ".r", ".log",
        ".lst", ".list", ".names", ".data", ".md5", ".sha1", ".sha256", ".sha512", ".sum", ".sig", ".asc",
        ".url", ".lnk", ".db", ".rtf", ".doc", ".docx", ".odt", ".xls", ".xlsx", ".bib", ".tex", ".xmp",
        ".aae", ".thm", ".srt", ".vtt", ".license", ".licence", ".pt", ".pth", ".safetensors", ".onnx", ".pkl",
        ".tmp", ".part",
    }
)  # fmt: skip
_COMPANION_NAMES = frozenset(
    ("readme", "license", "licence", "notice", "authors", "changelog", "copying", "version", "makefile", "citation")
)
_HELPER_FOLDERS = frozenset(
    (
        "__macosx", "@eadir", "$recycle.bin", "recycler", "#recycle", "@recycle", "@recently-snapshot", "@tmp",
        "lost+found", "_gsdata_", "system volume information", "found.000",
    )
)  # fmt: skip
_STARTS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"\0\0\0\x0cjP  \r\n\x87\n",
)  # fmt: skip


def suffix_of(key: str) -> str:
    """The suffix of a name from its last dot, in lower case; "" without one, as in `.name` and `5 m. high`."""
    name = key[key.rfind("/") + 1 :]
    at = name.rfind(".")
    suffix = name[at:].lower() if at > 0 else ""
    return suffix if suffix[1:].isalnum() and len(suffix) <= 12 else ""


def is_picture(key: str) -> bool:
    """Whether the end of the name is one of an image format."""
    return key[key.rfind(".") :].lower() in IMAGE_SUFFIXES  # not PurePath.suffix: called for 100,000 names


def is_video(key: str) -> bool:
    """Whether the end of the name is one of a video format."""
    return key[key.rfind(".") :].lower() in VIDEO_SUFFIXES


def is_sound(key: str) -> bool:
    """Whether the end of the name is one of a format of sound."""
    return key[key.rfind(".") :].lower() in SOUND_SUFFIXES


def is_companion(key: str) -> bool:
    """Whether a file goes with data, as lists, notes and check sums do, so that nobody misses it among the samples."""
    suffix = suffix_of(key)
    return suffix in _COMPANIONS if suffix else key[key.rfind("/") + 1 :].lower() in _COMPANION_NAMES


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is kept by a system or a program for itself, such as thumbnails."""
    return name.startswith(".") or name.lower() in _HELPER_FOLDERS


def starts_like_picture(start: bytes) -> bool:
    """Whether the first bytes, at least 16, are those of an image; DICOM is known by 132."""
    is_webp = start[:4] == b"RIFF" and start[8:12] == b"WEBP"
    is_avif = start[4:12] in (b"ftypavif", b"ftypavis")
    return start.startswith(_STARTS) or is_webp or is_avif or (HAS_PYDICOM and is_dicom(start))


def starts_like_stream(start: bytes) -> bool:
    """Whether bytes are those of an MPEG transport stream, whose packets begin with 0x47: `.ts` is TypeScript too."""
    return any(start[at : at + 1] == b"\x47" == start[at + size : at + size + 1] for at, size in ((0, 188), (4, 192)))


def told_kinds(counts: Mapping[str, int]) -> str:
    """`26 .heic, 2 .npy`: the most frequent six endings and how many files have them."""
    most = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    shown = ", ".join(f"{count} {suffix or 'without an ending'}" for suffix, count in most[:6])
    return shown + (f" and {sum(n for _, n in most[6:])} others" if len(most) > 6 else "")


def is_scientific(key: str) -> bool:
    """Whether a file may hold several images or numbers that are not shown as they are, by its name; TIFF may."""
    suffix = suffix_of(key)
    return not suffix or suffix in DICOM_SUFFIXES | TIFF_SUFFIXES | ARRAY_SUFFIXES


def is_array(key: str) -> bool:
    """Whether the end of the name is one of a NumPy file."""
    return key[key.rfind(".") :].lower() in ARRAY_SUFFIXES


OPTIONAL = (
    (HEIF_SUFFIXES, "pillow-heif", "heif", ".heic and .heif"),
    (DICOM_SUFFIXES, "pydicom", "medical", "DICOM files"),
    (SLIDE_SUFFIXES, "tifffile", "tiff", "slides and stacks of microscopes"),
)
"""Endings, the package that reads them, the extra that installs it, and what it reads."""


def extra_advice(keys: Iterable[str]) -> str:
    """What to add to a message where images are among the files that an optional package would read."""
    lacking = {suffix_of(key) for key in keys} - IMAGE_SUFFIXES
    told = [f"; pip install 'selftaught[{extra}]' reads {what}" for ends, _, extra, what in OPTIONAL if lacking & ends]
    return "".join(told)


def is_dicom(start: bytes) -> bool:
    """Whether the first bytes of a file, at least 132, are those of a DICOM file."""
    return start[128:132] == b"DICM"

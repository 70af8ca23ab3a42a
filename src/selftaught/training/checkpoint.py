"""Checkpoints: one safetensors file that holds tensors and plain values, checked byte by byte when read.

The header of the file has one entry of metadata, JSON with `sha256`, `version` and `meta`. The digest is that of the
whole file with its own 64 hexadecimal digits set to zero, so it covers names, shapes, values and meta alike. Nothing
is unpickled: whatever the file holds, reading it runs no code.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor

from selftaught.core.files import written_whole
from selftaught.core.tensor_file import write_tensors

VERSION = 1
ENTRY = "selftaught_checkpoint"
START = b'{"__metadata__":{"' + ENTRY.encode() + rb'":"{\"sha256\":\"'
"""What every header begins with; JSON inside JSON has its quotes escaped."""
UNSET = b"0" * 64


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write `path` atomically; a reader, and a crash at any moment, finds the old file or the new one.

    Args:
        path: the file; its folder must exist.
        tensors: of any dtype and device; strides are not kept.
        meta: plain values that JSON can hold.
    """
    header = json.dumps({"sha256": UNSET.decode(), "version": VERSION, "meta": dict(meta)}, separators=(",", ":"))
    with written_whole(path) as draft:
        write_tensors(draft, _on_host(tensors), {ENTRY: header})
        with draft.open("r+b") as file, mmap.mmap(file.fileno(), 0) as content:
            start, end = _digest_span(content)
            content[start:end] = _digest(content, start, end)


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors on the CPU and meta, as they were saved; a file that is not exactly that is a `ValueError`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ValueError(f"checkpoint {path} cannot be read: {error.strerror or error}") from error
    try:
        start, end = _digest_span(content)
    except ValueError:
        raise ValueError(f"{path} is not a checkpoint of selftaught, or its first bytes are damaged") from None
    if _digest(content, start, end) != content[start:end]:
        raise ValueError(
            f"checkpoint {path} is damaged: its content does not match its SHA-256; use another checkpoint"
        )
    length = int.from_bytes(content[:8], "little")
    try:
        stored = json.loads(json.loads(content[8 : 8 + length])["__metadata__"][ENTRY])
        version, meta = stored["version"], stored["meta"]
        tensors = safetensors.torch.load(content) if version == VERSION else {}
    except (KeyError, TypeError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise ValueError(f"checkpoint {path} cannot be understood ({error}); use another checkpoint") from error
    if version != VERSION:
        raise ValueError(
            f"checkpoint {path} has format version {version}, this selftaught reads version {VERSION}; "
            "use the version of selftaught that wrote it"
        )
    return tensors, meta


def flatten_optimizer(state: Mapping[str, Any]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Cut an optimiser's `state_dict()` into tensors and plain values that JSON can hold."""
    tensors: dict[str, Tensor] = {}
    return tensors, _flatten(state, "", tensors)


def restore_optimizer(tensors: Mapping[str, Tensor], plain: Mapping[str, Any]) -> dict[str, Any]:
    """The `state_dict()` that `flatten_optimizer` was given, exactly: also tuples and integer keys."""
    state: dict[str, Any] = _restore(plain, tensors)
    return state


def _flatten(value: Any, place: str, tensors: dict[str, Tensor]) -> Any:
    """JSON knows neither tuples nor keys that are numbers, so containers carry their kind: {"tuple": [...]}."""
    if isinstance(value, Tensor):
        tensors[place] = value
        return {"tensor": place}
    if isinstance(value, Mapping):
        return {"dict": [[key, _flatten(item, f"{place}.{key}".lstrip("."), tensors)] for key, item in value.items()]}
    if isinstance(value, list | tuple):
        items = [_flatten(item, f"{place}.{i}", tensors) for i, item in enumerate(value)]
        return {"tuple" if isinstance(value, tuple) else "list": items}
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"optimiser state {place} is a {type(value).__name__}, which a checkpoint cannot hold")


def _restore(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if not isinstance(value, Mapping):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "dict":
        return {key: _restore(item, tensors) for key, item in content}
    items = [_restore(item, tensors) for item in content]
    return tuple(items) if kind == "tuple" else items


def _on_host(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Contiguous on the CPU, each with memory of its own: safetensors refuses tensors that share it."""
    seen: set[int] = set()
    host = {}
    for name, tensor in tensors.items():
        copy = tensor.detach().cpu().contiguous()
        memory = copy.untyped_storage().data_ptr()
        host[name] = copy.clone() if memory in seen else copy
        seen.add(memory)
    return host


def _digest_span(content: bytes | mmap.mmap) -> tuple[int, int]:
    """Where the 64 digits of the SHA-256 stand."""
    start = 8 + len(START)
    end = start + len(UNSET)
    if content[8:start] != START or end > 8 + int.from_bytes(content[:8], "little") or end > len(content):
        raise ValueError
    return start, end


def _digest(content: bytes | mmap.mmap, start: int, end: int) -> bytes:
    with memoryview(content) as view:
        digest = hashlib.sha256(view[:start])
        digest.update(UNSET)
        digest.update(view[end:])
    return digest.hexdigest().encode()

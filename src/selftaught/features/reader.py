"""An encoder and how it is read: features of every stage, computed once for each data set and kept on disk."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from torch import Tensor

from selftaught.core.precision import autocast, channels_last
from selftaught.data.batch import Batch
from selftaught.data.decode.npy import load_npy
from selftaught.data.store.samples import Samples
from selftaught.data.store.subset import Subset
from selftaught.encoders.base import Encoder
from selftaught.encoders.feature_map import stage_features
from selftaught.encoders.modality import encoder_view
from selftaught.features.encode import CLIPS, sample_batches, samples_at_once
from selftaught.features.pool_stage import pool_stage

POOLED = "pooled"
"""The name of `encoder(x)` among the stages."""
PEAKS = "peaks"
"""That of the last stage, max-pooled over time and space."""
ROWS = 4096
"""Rows read at once from the disk."""
LARGEST = 65504.0
"""Of float16, in which features are kept; what is beyond is cut off."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """Reads the features of one encoder.

    Attributes:
        size: side of the square images, as the encoder was trained.
        cache: folder the features are kept in; None computes them each time.
        cache_limit_gb: features of one data set that would take more are not kept.
        is_random: its weights were drawn, not learned; a probe that trains the encoder trains all of it from scratch.
        predict_maps: maps that the task of its run predicts of images as the encoder takes them, by kind of `Given`;
            None of weights without a task.
    """

    encoder: Encoder
    size: int
    device: torch.device
    precision: str = "auto"
    batch_size: int = 256
    clips: int = CLIPS
    cache: Path | None = None
    cache_limit_gb: float = 20.0
    is_random: bool = False
    predict_maps: Callable[[Tensor], Mapping[str, Tensor]] | None = None

    @cached_property
    def identity(self) -> str:
        """Hex digest of the weights and of all else that features depend on."""
        digest = hashlib.blake2b(digest_size=16)
        for name, tensor in sorted(self.encoder.state_dict().items()):
            digest.update(f"{name} {tuple(tensor.shape)} {tensor.dtype}".encode())
            digest.update(tensor.detach().cpu().reshape(-1).view(torch.uint8).numpy().tobytes())
        digest.update(repr((self.encoder.name, self.size, self.precision, self.clips, self.device.type)).encode())
        return digest.hexdigest()

    def batches(self, samples: Samples, dims: int = 9000) -> Iterator[tuple[dict[str, Tensor], NDArray[np.int64]]]:
        """({stage: (N, d) float32}, rows of `samples` (N,)) in order, every stage pooled to about `dims` numbers.

        Clips of a video are averaged. Values are rounded to float16, whether they come from the cache or not.
        """
        yield from self._read(samples, ("stages", dims))

    def pooled(self, samples: Samples) -> Tensor:
        """`encoder(x)` of all samples in order, (M, D) float32 on the CPU."""
        return torch.cat([found[POOLED].cpu() for found, _ in self._read(samples, (POOLED, 0))])

    def peaks(self, samples: Samples) -> Tensor:
        """The last stage of all samples in order, max-pooled over time and space, (M, C) float32 on the CPU."""
        return torch.cat([found[PEAKS].cpu() for found, _ in self._read(samples, (PEAKS, 0))])

    def _read(self, samples: Samples, kind: tuple[str, int]) -> Iterator[tuple[dict[str, Tensor], NDArray[np.int64]]]:
        base, rows = (samples.base, samples.rows) if isinstance(samples, Subset) else (samples, np.arange(len(samples)))
        folder = self._folder(base, kind)
        # A few rows of many are not worth reading all of them for.
        if folder is not None and not _opened(folder) and len(rows) > len(base) // 2:
            self._keep(base, kind, folder)
        if folder is not None and (files := _opened(folder)):
            _lock_of(folder).unlink(missing_ok=True)  # of a process killed before it could; who waits finds the folder
            for start in range(0, len(rows), ROWS):
                chosen = rows[start : start + ROWS]
                parts = {name: np.ascontiguousarray(file[chosen]) for name, file in files.items()}
                found = {name: torch.from_numpy(part).to(self.device).float() for name, part in parts.items()}
                yield found, np.arange(start, start + len(chosen))
            return
        done = 0
        for found in self._compute(samples, kind):
            count = len(next(iter(found.values())))
            yield {name: value.float() for name, value in found.items()}, np.arange(done, done + count)
            done += count

    def _folder(self, base: Samples, kind: tuple[str, int]) -> Path | None:
        if self.cache is None:
            return None
        key = hashlib.blake2b(repr((self.identity, base.fingerprint, kind)).encode(), digest_size=12).hexdigest()
        return self.cache / f"{kind[0]}-{key}"

    def _keep(self, base: Samples, kind: tuple[str, int], folder: Path) -> None:
        """Compute all features of `base` into `folder`, which gets its name when it is whole."""
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(_lock_of(folder)):
            if folder.exists():
                return
            for left in folder.parent.glob(f".{folder.name}.*.part"):
                shutil.rmtree(left, ignore_errors=True)
            part = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", suffix=".part", dir=folder.parent))
            try:
                if self._fill(base, kind, part):
                    part.replace(folder)
            except BaseException:
                with suppress(OSError):  # Windows removes no open file
                    _lock_of(folder).unlink()
                raise
            finally:
                shutil.rmtree(part, ignore_errors=True)
        _lock_of(folder).unlink(missing_ok=True)

    def _fill(self, base: Samples, kind: tuple[str, int], part: Path) -> bool:
        """False where it would take more than the limit."""
        files: dict[str, NDArray[np.float16]] = {}
        done = 0
        for found in self._compute(base, kind):
            if not files:
                width = sum(value.shape[1] for value in found.values())
                if 2 * width * len(base) > self.cache_limit_gb * 1e9:
                    return False
                (part / "stages.txt").write_text("\n".join(found))
                for number, (name, value) in enumerate(found.items()):
                    files[name] = np.lib.format.open_memmap(
                        part / f"{number}.npy", "w+", np.float16, (len(base), value.shape[1])
                    )
            count = len(next(iter(found.values())))
            for name, value in found.items():
                files[name][done : done + count] = value.cpu().numpy()
            done += count
        for file in files.values():
            file.flush()  # type: ignore[attr-defined]
        return True

    @torch.no_grad()
    def _compute(self, samples: Samples, kind: tuple[str, int]) -> Iterator[dict[str, Tensor]]:
        """{stage: (N, d) float16} of every batch in order."""
        encoder = channels_last(self.encoder.to(self.device).eval())
        at_once = samples_at_once(encoder, self.batch_size)
        for views in sample_batches(samples, batch_size=at_once, device=self.device, clips=self.clips):
            totals: dict[str, Tensor] = {}
            for batch in views:
                for name, value in self._features(encoder, batch, kind).items():
                    totals[name] = totals[name] + value / len(views) if name in totals else value / len(views)
            for name, value in totals.items():
                if not value.isfinite().all():
                    raise ValueError(
                        f"features of {encoder.name} at {name} are not finite; its training diverged, lower its --lr"
                    )
            yield {name: value.clamp(-LARGEST, LARGEST).half() for name, value in totals.items()}

    def _features(self, encoder: Encoder, batch: Batch, kind: tuple[str, int]) -> dict[str, Tensor]:
        x = encoder_view(encoder, batch.inputs, self.size)
        with autocast(x.device, self.precision):
            if kind[0] == POOLED:
                found = {POOLED: encoder(x).float()}
            elif kind[0] == PEAKS:
                found = {PEAKS: stage_features(encoder, x)[encoder.stages[-1]].flatten(2).amax(2).float()}
            else:
                found = {name: pool_stage(value, kind[1]) for name, value in stage_features(encoder, x).items()}
        return {name: value.unflatten(0, (len(batch), -1)).mean(1) for name, value in found.items()}


def _lock_of(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.lock")


def _opened(folder: Path) -> dict[str, NDArray[Any]]:
    """The kept features by name, mapped; nothing where there are none or one was cut, and then none is left."""
    if not folder.exists():
        return {}
    try:
        names = (folder / "stages.txt").read_text().split("\n")
        return {name: load_npy(folder / f"{i}.npy") for i, name in enumerate(names)}
    except (OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        return {}

"""What a million, a hundred million and ten billion images cost in time, memory and disk, from measured parts.

    python benchmarks/costs.py --measure    # speeds of this machine, one thread, to docs/results/costs.json: a minute
    python benchmarks/costs.py              # docs/results/costs.md from the JSON files beside it

Machine: any; seconds are of CPU time, so that other programs count little. Expected: docs/results/costs.md.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from pathlib import Path
from typing import Any, NamedTuple

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
COUNTS = {"1 million": 10**6, "100 million": 10**8, "10 billion": 10**10}
EPOCHS = 100
DAYS = 7
EVERY = 86_400
JPEG_BYTES = 110_000
"""Of an image of ImageNet, the mean of its training part: 138 GB of 1.28 million files."""
ASPECT = 4 / 3
SHARD = 10_240


class Setting(NamedTuple):
    """An encoder at an image size.

    Attributes:
        side: short side of packed images, pixels.
        width: numbers of a vector.
    """

    encoder: str
    size: int
    side: int
    width: int


SETTINGS = (
    Setting("resnet18", 96, 160, 512),
    Setting("resnet50", 224, 256, 2048),
    Setting("timm:vit_base_patch16_224", 224, 256, 768),
)


def measure(repeats: int = 3) -> dict[str, Any]:
    """Images a second of one thread: decoding and scaling, embedding, and a step of SimCLR's two views."""
    import cv2
    import numpy as np
    import torch

    from selftaught.core.precision import autocast, channels_last
    from selftaught.data.decode.fit import fit
    from selftaught.data.decode.image import Decoding
    from selftaught.encoders.build import build_encoder

    torch.set_num_threads(1)
    device, batch = torch.device("cpu"), 16
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 255, (38, 50, 3), dtype=np.uint8)
    photo = cv2.imencode(".jpg", cv2.resize(coarse, (500, 375), interpolation=cv2.INTER_CUBIC))[1].tobytes()
    found: dict[str, Any] = {"jpeg_bytes": len(photo)}

    def rate(work: Any, images: int) -> float:
        work()
        taken = []
        for _ in range(repeats):
            begin = time.process_time()
            work()
            taken.append(time.process_time() - begin)
        return round(images / min(taken), 2)

    for setting in SETTINGS:
        encoder = channels_last(build_encoder(setting.encoder, size=setting.size, stem="standard"))
        images = torch.zeros(batch, 3, setting.size, setting.size).contiguous(memory_format=torch.channels_last)

        def embed(encoder: Any = encoder, images: Any = images) -> None:
            with torch.no_grad(), autocast(device, "auto"):
                encoder.eval()(images)

        def learn(encoder: Any = encoder, images: Any = images) -> None:
            with autocast(device, "auto"):
                total = sum(encoder.train()(images).float().pow(2).mean() for _ in range(2))
            total.backward()

        def decode(side: int = setting.side) -> None:
            for _ in range(20):
                fit(photo, side=side, decoding=Decoding())

        found[setting.encoder] = {
            "decode": rate(decode, 20),
            "embed": rate(embed, batch),
            "train": rate(learn, batch),
            "parameters": sum(parameter.numel() for parameter in encoder.parameters()),
        }
    return found


HEAD = """# What large data cost

Time, memory and disk for a million, a hundred million and ten billion images, computed from measured parts by `python
benchmarks/costs.py`. Hours and years are of one thread of the CPU on which the parts were measured ({machine}); divide
by the number of cores. No GPU was measured: divide by the speed of yours relative to one such thread, which `selftaught
pretrain --steps 100` prints as images/s.

## Measured parts

| encoder | image size | decode and scale | embed | train, two views | parameters | vector |
|---|---|---|---|---|---|---|
{parts}

Images per second of one thread, from JPEG files of 500 x 375 pixels; training is the forward and backward pass.

- Index: {count:,} vectors of {width} numbers took {build:.0f} s to build and {megabytes:.0f} MB on disk; a query takes
  {query:.0f} ms and finds {recall:.0f} % of the ten most similar ([decision](../decisions/0012-index-on-disk.md)).
- Memory of training from a packed store: {per_image:.0f} bytes per image, the list of samples.

"""
TAIL = """## Assumptions

- {epochs} epochs of SimCLR, with two views of each image; a task with one view takes half.
- Files of {jpeg} KB, the mean of ImageNet. Packed images are uint8 RGB with the short side that `pretrain` chooses for
  the image size, a third longer than high. Data above `--cache-limit` are not packed: images are decoded in each epoch,
  which adds the decoding time every time, or tars are read in order.
- Vectors are float32 in Parquet files of 10,240 samples. The index keeps a code of at most 64 bytes and a number of 8
  bytes for each vector, and sqrt(N) centroids. The time to build it is counted by the products with centroids and
  codewords, at the measured rate.
- Memory of training is 16 bytes per parameter with AdamW, plus activations, which depend on the batch and not on the
  data, plus the list of samples of a packed store. Streamed tars need no list. Memory of a search is that of the
  centroids, plus the lists that queries touch, which the system may drop again.
- All codes are in memory while an index is built, which is the limit of one machine. Beyond it, embed to several
  folders and search each of them.
"""


def page(speeds: dict[str, Any], index: dict[str, Any], memory: dict[str, Any]) -> str:
    """The page in Markdown."""
    found = index["faiss"]
    head = HEAD.format(
        machine=speeds["machine"],
        parts="\n".join(_part(setting, speeds[setting.encoder]) for setting in SETTINGS),
        count=index["count"],
        width=index["width"],
        build=found["build_seconds"],
        megabytes=found["bytes"] / 1e6,
        query=1000 * found["query_seconds"],
        recall=100 * found["recall"],
        per_image=per_image(memory),
    )
    lines = [line for one in SETTINGS for line in _section(one, speeds[one.encoder], index, memory)]
    return head + "\n".join(lines) + "\n" + TAIL.format(epochs=EPOCHS, jpeg=JPEG_BYTES // 1000)


def per_image(memory: dict[str, Any]) -> float:
    """Bytes of memory that each image of a packed store takes while training."""
    less, more = memory["1x"], memory["16x"]
    return float((more["rss_mb"] - less["rss_mb"]) * 1e6 / (more["pictures"] - less["pictures"]))


def _part(setting: Setting, speed: dict[str, Any]) -> str:
    values = " | ".join(f"{speed[name]:,.0f}" for name in ("decode", "embed", "train"))
    vector = f"{setting.width} numbers, {4 * setting.width / 1000:.1f} KB"
    return f"| `{setting.encoder}` | {setting.size} | {values} | {speed['parameters'] / 1e6:.0f} M | {vector} |"


def _section(setting: Setting, speed: dict[str, Any], index: dict[str, Any], memory: dict[str, Any]) -> list[str]:
    columns = [costs(setting, speed, index, memory, count) for count in COUNTS.values()]
    lines = [f"## {setting.encoder} at {setting.size} pixels", "", f"| | {' | '.join(COUNTS)} |", "|---|---|---|---|"]
    lines += [f"| {name} | {' | '.join(column[name] for column in columns)} |" for name in columns[0]]
    return [*lines, ""]


def costs(
    setting: Setting, speed: dict[str, Any], index: dict[str, Any], memory: dict[str, Any], count: int
) -> dict[str, str]:
    """What so many images cost, as text."""
    pack = ASPECT * 3 * setting.side**2 * count
    train, embed = EPOCHS * count / speed["train"], count / speed["embed"] + count / speed["decode"]
    code, lists = index_bytes(setting.width), math.sqrt(count)
    return {
        "files": size(JPEG_BYTES * count),
        "packed store": size(pack),
        "decode once": hours(count / speed["decode"]),
        f"train, {EPOCHS} epochs": hours(train),
        f"cores for that in {DAYS} days": f"{max(1, math.ceil(train / (DAYS * EVERY))):,}",
        "embed, with decoding": hours(embed),
        "vectors": size(4 * setting.width * count),
        "files of vectors": f"{math.ceil(count / SHARD):,}",
        "index on disk": size(code * count + 4 * setting.width * lists),
        "memory to build the index": size(code * count + 2 * 4 * setting.width * lists * 40),
        "build the index": hours(build_seconds(setting, index, count)),
        "memory of a search (centroids)": size(4 * setting.width * lists),
        "memory of the list of samples, packed": size(per_image(memory) * count),
    }


def index_bytes(width: int) -> int:
    """Of a vector in the index: its code and its number."""
    most = min(64, width // 4)
    return 8 + next(number for number in range(most, 0, -1) if width % number == 0)


def build_seconds(setting: Setting, index: dict[str, Any], count: int) -> float:
    """By products with centroids and with codewords, as many as were measured a second."""

    def products(count: float, width: int) -> float:
        return count * width * (math.sqrt(count) + 256)

    rate = products(index["count"], index["width"]) / float(index["faiss"]["build_seconds"])
    return products(count, setting.width) / rate


def size(value: float) -> str:
    """Bytes as people say them."""
    for unit in ("B", "KB", "MB", "GB", "TB", "PB"):
        if value < 1000 or unit == "PB":
            return f"{value:.3g} {unit}"
        value /= 1000
    raise AssertionError


def hours(seconds: float) -> str:
    """Hours, or years where they are many."""
    found = seconds / 3600
    if found >= 100_000:
        return f"{found / 8766:,.0f} years"
    return f"{found:,.0f} h" if found >= 100 else f"{found:.2g} h"


def read(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((RESULTS / name).read_text())
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", action="store_true", help="measure the speeds of this machine")
    if parser.parse_args().measure:
        import platform

        cpu = next((line for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
        machine = cpu.partition(":")[2].strip() or platform.processor()
        (RESULTS / "costs.json").write_text(json.dumps({"machine": machine} | measure(), indent=2) + "\n")
    text = page(read("costs.json"), read("search_index.json"), read("memory.json"))
    (RESULTS / "costs.md").write_text(text)


if __name__ == "__main__":
    main()

"""Memory while packing and reading 1 x, 4 x and 16 x as many images: it must stay flat.

Command:   python benchmarks/memory.py --out docs/results/memory.json
Time:      about 3 minutes on 2 cores (the images are drawn by the synthetic source)
Measured:  in a process of its own each, the largest resident set (RSS) after packing N images of 64 x 64 and reading
           two epochs of them in shuffled batches of 256
Expected:  16 x the images cost less than 1.5 x the memory; what grows is the index (about 150 bytes an image)
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "memory.json")
    parser.add_argument("--count", type=int, default=5000, help="images of 1 x")
    parser.add_argument("--inside", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.inside:
        print(json.dumps(peak(args.inside)))
        return
    result = {}
    with tempfile.TemporaryDirectory() as cache:
        for times in (1, 4, 16):
            command = [sys.executable, __file__, "--inside", str(times * args.count)]
            environment = os.environ | {"SELFTAUGHT_CACHE": cache}
            done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
            result[f"{times}x"] = json.loads(done.stdout)
            print(f"{times}x", result[f"{times}x"], file=sys.stderr)
    result["ratio"] = round(result["16x"]["rss_mb"] / result["1x"]["rss_mb"], 3)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    args.out.write_text(json.dumps(result, indent=2) + "\n")


def peak(count: int) -> dict[str, float]:
    """Largest RSS in MB of this process after packing and two shuffled epochs."""
    import numpy as np

    from selftaught.data.batch import Sampling
    from selftaught.data.sources.open import open_source
    from selftaught.data.store.open import open_samples

    source = open_source(f"synthetic:N={count},side=64", split="train", needs=frozenset({"image"}), held_out=0.0)
    samples = open_samples(source, side=64, sampling=Sampling(), cache_limit_gb=100, workers=None)
    for epoch in range(2):
        order = np.random.default_rng(epoch).permutation(len(samples))
        for start in range(0, len(order) - 255, 256):
            samples.read(order[start : start + 256], np.full((256, 3), 0.5))
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"pictures": len(samples), "data_mb": round(len(samples) * 64 * 64 * 3 / 2**20, 1), "rss_mb": round(rss, 1)}


if __name__ == "__main__":
    main()

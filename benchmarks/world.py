"""Speed of rendered scenes: frames per second of one core, and how long training waits for them.

Command:   python benchmarks/world.py                    # 128 px
           python benchmarks/world.py --side 64 --no-training
Needs:     the extra [world], and nothing else running
Result:    printed as JSON
Time:      about 3 minutes on 2 cores
Measured:  CPU time of this process with one thread: "images" renders one frame of each of many scenes, "clips" 16
           successive frames, and "labels" what depth, normals, instances, flow and occlusion add to a frame. "waited"
           is the share of its time that `pretrain` waits for batches of 16 endless images (resnet18, 2 processes)
Expected:  at least 30 frames per second, and at most 5 % waited where training leaves cores to the rendering; on two
           cores with OMP_NUM_THREADS=1 (measured: docs/guides/world.md)
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import selftaught
from selftaught.data.sources.world.settings import WorldSettings
from selftaught.data.sources.world.textures import drawn_textures
from selftaught.data.sources.world.video import Scenes

KINDS = ("depth", "normals", "instances", "flow", "occlusion")
BATCH, WORKERS, WARM_UP = 16, 2, 5


def measure_rendering(side: int, count: int) -> dict[str, float]:
    """Frames per second of one core, and milliseconds of labels, over `count` scenes."""
    scenes = Scenes(WorldSettings(side=side), "train", drawn_textures())
    spent = {"images": 0.0, "clips": 0.0, "labels": 0.0}
    for number in range(count):
        video, frame = scenes.video(number), (7 * number) % 16
        begin = time.process_time()
        one = video.frame(video.simulation(), frame)
        one.image()
        spent["images"] += time.process_time() - begin
        begin = time.process_time()
        for kind in KINDS:
            one.given(kind)
        spent["labels"] += time.process_time() - begin
        begin = time.process_time()
        for _ in video.frames(range(16)):
            pass
        spent["clips"] += (time.process_time() - begin) / 16
    rates = {name: round(count / spent[name], 1) for name in ("images", "clips")}
    return {**rates, "labels_ms": round(1e3 * spent["labels"] / count, 2)}


def measure_waiting(side: int, steps: int) -> float:
    """Share of the steps after the first that the loop waits for endless scenes."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings: dict[str, Any] = {"encoder": "resnet18", "size": side, "batch_size": BATCH, "workers": WORKERS}
        settings |= {"steps": steps, "log_every": 1, "evaluate_every": 1e9}
        selftaught.pretrain(f"world:side={side},frames=4", task="rotation", out=str(run), **settings)
        with (run / "speed.csv").open(newline="") as file:
            rows = list(csv.DictReader(file))[WARM_UP:]
    waited, whole = (sum(float(row[name]) for row in rows) for name in ("data_seconds", "seconds"))
    return waited / whole


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--side", type=int, default=128)
    parser.add_argument("--scenes", type=int, default=40)
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--no-training", action="store_true")
    given = parser.parse_args()
    found: dict[str, float] = measure_rendering(given.side, given.scenes)
    if not given.no_training:
        found["waited"] = round(measure_waiting(given.side, given.steps), 4)
    print(json.dumps(found))


if __name__ == "__main__":
    main()

"""Draw what the tasks see, for their pages: `python docs/task_pictures.py [TASK ...]`.

Each task is trained for a few steps on drawn sequences of digits, and what the report of that run shows (inputs,
pseudo-label, prediction) is laid out as docs/pictures/tasks/TASK.webp. The runs are kept with `--runs FOLDER`, and
complete ones there are not repeated.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageSequence

OUT = Path(__file__).parent / "pictures" / "tasks"
MOST_BYTES = 100_000
"""Of one file."""
QUALITIES = (80, 65, 50, 35)
"""Of WebP, tried until a file is small enough."""
FRAME_MS, LAST_MS, PAGE_MS = 125, 700, 1800
"""Milliseconds that a frame is shown, the last frame of the longest clip, and images without any clip."""

TILE, SMALL, STRIP, WIDE, NARROW, GAP = 128, 96, 64, 420, 150, 8
"""Pixels: longest side of an image, and of one of four; height of frames side by side; widest line of inputs; widest
text; space."""
PAPER, INK, QUIET = "#ffffff", "#1f2328", "#656d76"
HEADS = ("what the task sees", "pseudo-label", "prediction")


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One task: the flags of its run, what the run reads, and which samples of the report are in the picture."""

    flags: str
    data: str = "moving:digits,videos=32,ground=texture"
    samples: tuple[int, ...] = (0, 1, 2)


_CLIPS, _FRAMES = "--encoder video_convnet", "--encoder alexnet"
_LESS = "--task.degrade 0.1"
"""Little blur and noise, so that people see what is shown."""
_FALLING = "moving:digits,videos=32,ground=texture,motion=fall,frames=44"
_BOUNCING = "moving:digits,videos=32,ground=texture,motion=bounce,frames=48,side=32"
_FAR = "moving:digits,videos=32,ground=texture,motion=bounce,frames=100"
_TRACKED = f"--stem standard --frames 16 --stride 6 --task.patch 0.4 --task.colour 0.2 {_LESS} --steps 12"
_GAN = f"{_CLIPS} --frames 8 --stride 4 --task.width 32 --size 32 --steps 50"
PICTURES: dict[str, Drawn] = {
    "frame_order_verification": Drawn(flags=f"{_FRAMES} --steps 8"),
    "frame_order_recognition": Drawn(
        data="moving:digits,videos=32", flags=f"{_FRAMES} --frames 28 --task.gap 5 --task.window 0.9 --steps 8"
    ),
    "sequence_permutation": Drawn(flags=f"--encoder lstm:alexnet --frames 7 --stride 4 {_LESS} --steps 4"),
    "odd_one_out": Drawn(flags=f"{_CLIPS} --frames 28 {_LESS} --steps 4", samples=(0, 1)),
    "arrow_of_time": Drawn(data=_FALLING, flags=f"{_CLIPS} --stride 2 {_LESS} --steps 8", samples=(0, 1, 3)),
    "clip_order": Drawn(flags=f"{_CLIPS} --frames 7 --task.interval 4 {_LESS} --steps 8"),
    "playback_rate": Drawn(flags=f"{_CLIPS} --task.least-side 1 --task.colour 0.2 {_LESS} --steps 8"),
    "clip_rotation": Drawn(flags=f"{_CLIPS} --frames 8 --stride 4 --steps 8", samples=(0, 1, 2, 3)),
    "cubic_puzzle": Drawn(flags=f"{_CLIPS} --frames 6 --task.cell 8 {_LESS} --steps 6", samples=(0, 1, 6)),
    "video_jigsaw": Drawn(flags=f"{_FRAMES} --frames 28 --task.gap 8 {_LESS} --steps 6", samples=(0, 1)),
    "temporal_coherence": Drawn(flags=f"{_FRAMES} --frames 28 --task.reach 5 {_LESS} --steps 8"),
    "tracked_patches": Drawn(data=_FAR, flags=_TRACKED, samples=(1, 2, 4)),
    "transitive": Drawn(data=_FAR, flags=_TRACKED, samples=(1, 4)),
    "dense_prediction": Drawn(flags=f"{_CLIPS} --task.grey 0 {_LESS} --steps 6"),
    "moving_object": Drawn(
        data="moving:digits,videos=16,ground=texture,side=256", flags="--stem standard --steps 25", samples=(0, 1, 2, 3)
    ),
    "relative_depth": Drawn(
        data="world:scenes=12,frames=24,side=96", flags=f"{_FRAMES} --task.degrade 0.1 --steps 150", samples=(0, 1, 2)
    ),
    "contour": Drawn(
        data="moving:digits,videos=16,ground=texture,side=256", flags="--stem standard --steps 40", samples=(0, 1, 2, 3)
    ),
    "video_simclr": Drawn(flags=f"{_CLIPS} --frames 8 --stride 3 --task.jitter 0.5 --task.blur 0.2 --steps 15"),
    "video_colorization": Drawn(flags=f"{_FRAMES} --task.stride 6 --steps 40"),
    "video_mae": Drawn(flags="--frames 8 --stride 3 --steps 20"),
    "video_colorization_direct": Drawn(flags=f"{_CLIPS} --frames 8 --stride 3 --steps 12"),
    "video_prediction": Drawn(data=_BOUNCING, flags="--encoder lstm:alexnet --task.width 128 --size 32 --steps 100"),
    "video_gan": Drawn(data=_BOUNCING, flags=_GAN),
    "temporal_gan": Drawn(data=_BOUNCING, flags=_GAN),
    "motion_content_gan": Drawn(data=_BOUNCING, flags=f"{_GAN} --task.image-width 16"),
    "flow_prediction": Drawn(flags=f"{_FRAMES} --steps 60"),
    "flow_similarity": Drawn(flags=f"{_FRAMES} --steps 20"),
    "rgb_flow": Drawn(flags=f"{_FRAMES} --steps 10"),
    "unsupervised_flow": Drawn(flags=f"{_FRAMES} --stride 4 --steps 120"),
    "view_synthesis": Drawn(
        data="world:scenes=12,frames=24,side=96", flags=f"{_FRAMES} --stride 3 --lr 5e-4 --steps 80"
    ),
    "pose_action": Drawn(flags=f"{_FRAMES} --steps 10"),
    "egomotion": Drawn(data="world:scenes=24,frames=12,side=64", flags=f"{_FRAMES} --steps 10"),
    "egomotion_equivariance": Drawn(data="world:scenes=24,frames=12,side=64", flags=f"{_FRAMES} --steps 10"),
}
SHARED = "--batch-size 8 --evaluate-every 100"


def command_of(task: str) -> str:
    """The command of the run whose report has the picture."""
    drawn = PICTURES[task]
    size = "" if "--size" in drawn.flags else "--size 64 "
    return f"selftaught pretrain {drawn.data} --task {task} {drawn.flags} {size}{SHARED} --out RUN"


Clip = list[Image.Image]
"""Frames; an image has one."""


def main() -> None:
    """Read the command line, train what is absent, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    parser.add_argument("--runs", type=Path, metavar="FOLDER", help="folder of the runs (default: a temporary one)")
    parser.add_argument("--out", type=Path, default=OUT, help="folder of the pictures (default: %(default)s)")
    given = parser.parse_args()
    for task in given.tasks or PICTURES:
        with tempfile.TemporaryDirectory() as temporary:
            runs = given.runs or Path(temporary)
            if not (runs / task / "summary.json").is_file():
                train(task, runs / task)
            path = save(draw(runs / task, PICTURES[task].samples), given.out / f"{task}.webp")
            print(f"{path} {path.stat().st_size / 1000:.0f} kB")


def train(task: str, run: Path) -> None:
    """Run the task's command."""
    from selftaught.cli.main import main as selftaught

    words = command_of(task).split()[1:]
    assert selftaught([*words[:-1], str(run), "--overwrite"]) == 0


def draw(run: Path, chosen: tuple[int, ...]) -> list[tuple[Image.Image, int]]:
    """The frames of the picture, each with its milliseconds: a row for each sample of the run's report.

    All clips begin together, and shorter ones stand still at their end. Where nothing moves, each row is one frame.
    """
    from selftaught.report.facts.read import read_run

    pictures = read_run(run).pictures
    assert pictures is not None
    rows = []
    for number in chosen:
        sample = pictures.samples[number]
        said = (sample.pseudo_label, sample.prediction)
        tile = SMALL if len(sample.inputs) == 4 else TILE
        rows.append(Row([_clip(path, tile) for path in sample.inputs], *(_cell(value) for value in said)))
    length = max(len(clip) for row in rows for clip in row.clips)
    if length == 1:
        return [(_page([row], rows, 0), PAGE_MS) for row in rows]
    times = [FRAME_MS] * (length - 1) + [LAST_MS]
    return [(_page(rows, rows, t), duration) for t, duration in enumerate(times)]


def save(frames: list[tuple[Image.Image, int]], path: Path) -> Path:
    """Write an animated WebP of at most `MOST_BYTES`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    (first, *others), durations = [frame for frame, _ in frames], [duration for _, duration in frames]
    for quality in QUALITIES:
        first.save(
            path, "WEBP", save_all=True, append_images=others, duration=durations, loop=0, quality=quality, method=6
        )
        if path.stat().st_size <= MOST_BYTES:
            return path
    raise ValueError(f"{path} has {path.stat().st_size} bytes at quality {QUALITIES[-1]}; at most {MOST_BYTES}")


@dataclass(frozen=True)
class Row:
    """One sample: the clips it shows, and its label and prediction, each a clip or text."""

    inputs: list[Clip]
    label: Clip | str
    prediction: Clip | str

    @property
    def clips(self) -> list[Clip]:
        return [*self.inputs, *(value for value in (self.label, self.prediction) if isinstance(value, list))]


def _clip(path: Path, tile: int) -> Clip:
    """The frames of a file, each as often as it lasts; frames side by side are in lines of their own."""
    frames: Clip = []
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            shown = frame.convert("RGB")
            is_strip = shown.width > 2.2 * shown.height
            shown.thumbnail((WIDE, STRIP) if is_strip else (tile, tile), Image.Resampling.LANCZOS)
            # Equal frames are stored as one.
            frames += [shown] * max(1, round(frame.info.get("duration", 0) / FRAME_MS))
    return frames


def _cell(value: str | Path) -> Clip | str:
    return _clip(value, TILE) if isinstance(value, Path) else value


def _page(rows: list[Row], all_rows: list[Row], t: int) -> Image.Image:
    """The rows at frame `t`, in columns as wide as all rows need."""
    inputs = [_beside(row.inputs, t) for row in rows]
    said = [[_said(value, t) for value in (row.label, row.prediction)] for row in rows]
    table = [
        [_text(head, QUIET) for head in HEADS],
        *([first, *others] for first, others in zip(inputs, said, strict=True)),
    ]
    whole = [[_beside(row.inputs, 0), _said(row.label, 0), _said(row.prediction, 0)] for row in all_rows]
    widths = [max(cell.width for cell in column) for column in zip(table[0], *whole, strict=True)]
    heights = [max(cell.height for cell in line) for line in table]
    if len(rows) < len(all_rows):  # every frame of the picture has one size
        heights[1] = max(cell.height for line in whole for cell in line)
    page = Image.new("RGB", (sum(widths) + GAP * 4, sum(heights) + GAP * (len(heights) + 1)), PAPER)
    y = GAP
    for line, height in zip(table, heights, strict=True):
        x = GAP
        for cell, width in zip(line, widths, strict=True):
            page.paste(cell, (x, y + (height - cell.height) // 2))
            x += width + GAP
        y += height + GAP
    return page


def _beside(clips: list[Clip], t: int) -> Image.Image:
    """Frame `t` of each clip, side by side, in lines."""
    frames = [clip[min(t, len(clip) - 1)] for clip in clips]
    lines: list[list[Image.Image]] = [[]]
    for frame in frames:
        if lines[-1] and sum(one.width + GAP for one in lines[-1]) + frame.width > WIDE:
            lines.append([])
        lines[-1].append(frame)
    width = max(sum(one.width + GAP for one in line) - GAP for line in lines)
    height = sum(max(one.height for one in line) + GAP for line in lines) - GAP
    whole = Image.new("RGB", (width, height), PAPER)
    y = 0
    for line in lines:
        x = 0
        for frame in line:
            whole.paste(frame, (x, y))
            x += frame.width + GAP
        y += max(one.height for one in line) + GAP
    return whole


def _said(value: Clip | str, t: int) -> Image.Image:
    return _beside([value], t) if isinstance(value, list) else _text(value, INK)


def _text(words: str, colour: str) -> Image.Image:
    """Text in lines of at most `NARROW` pixels."""
    font = ImageFont.load_default(size=14)
    lines = [""]
    for word in words.split():
        longer = f"{lines[-1]} {word}".strip()
        lines = [*lines[:-1], longer] if font.getlength(longer) <= NARROW or not lines[-1] else [*lines, word]
    text = "\n".join(lines)
    box = ImageDraw.Draw(Image.new("RGB", (1, 1))).multiline_textbbox((0, 0), text, font=font)
    drawn = Image.new("RGB", (int(box[2]) + 2, int(box[3]) + 4), PAPER)
    ImageDraw.Draw(drawn).multiline_text((0, 0), text, fill=colour, font=font)
    return drawn


if __name__ == "__main__":
    main()

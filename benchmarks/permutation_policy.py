"""Does a learned policy pick better permutations than chance? (Büchler, Brattoli, Ommer, ECCV 2018.)

Command:   python benchmarks/permutation_policy.py
           python benchmarks/permutation_policy.py --seeds 4 --steps 1000
Needs:     the real data set jhmdb14 beside the checkout (../shared/data)
Result:    a table on stdout, quoted in docs/decisions/0010-no-permutation-policy.md
Time:      about 4 minutes on 1 core
Measured:  `video_jigsaw` with 48 permutations in 6 clusters, one for each order of the frames. Every 20 steps the
           error of each cluster on held-back training clips is the state; a policy gives the probability of each
           cluster in the next 20 steps, and is trained by REINFORCE with the fall of the validation loss, against its
           running mean, as the reward. The baseline draws clusters uniformly. Same steps, same clips, same seeds.
           Held-out accuracy over uniform permutations, and action accuracy of the frozen encoder by ridge regression
Expected:  no difference beyond the spread of the seeds
"""

from __future__ import annotations

import argparse
import csv
import statistics
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from selftaught.core.randomness import generator
from selftaught.data.batch import Batch
from selftaught.encoders.build import build_encoder
from selftaught.ops.crop import centre_view
from selftaught.tasks.temporal.video_jigsaw import TILES, Example, VideoJigsaw
from selftaught.training.optimizers import build_optimizer

DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "jhmdb14"
PERMUTATIONS, CLUSTERS, EVERY, ROWS, SIZE, FRAMES = 48, 6, 20, 24, 24, 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=250)
    args = parser.parse_args()
    if not DATA.exists():
        raise SystemExit("the real data sets are not beside this checkout")
    clips = {split: read_clips(split) for split in ("train", "test")}
    print("| permutations | seed | held-out accuracy | action accuracy |\n|---|---|---|---|")
    found: dict[str, list[tuple[float, float]]] = {"uniform": [], "policy": []}
    for seed in range(args.seeds):
        for kind, rows in found.items():
            rows.append(measure(clips, seed, args.steps, is_learned=kind == "policy"))
            print(f"| {kind} | {seed} | {rows[-1][0]:.3f} | {rows[-1][1]:.3f} |", flush=True)
    for kind, rows in found.items():
        means = [statistics.mean(column) for column in zip(*rows, strict=True)]
        print(f"| {kind} | mean | {means[0]:.3f} | {means[1]:.3f} |")


def read_clips(split: str) -> tuple[Tensor, Tensor]:
    """Middle `FRAMES` frames of each video (N, T, 3, 48, 64) uint8, and their labels (N,)."""
    with (DATA / "labels.csv").open(newline="") as file:
        table = [row for row in csv.DictReader(file) if row["split"] == split and int(row["frames"]) >= FRAMES]
    names = sorted({row["label"] for row in table})
    videos = []
    for row in table:
        with av.open(str(DATA / row["file"])) as video:
            frames = np.stack([frame.to_ndarray(format="rgb24") for frame in video.decode(video=0)])
        start = (len(frames) - FRAMES) // 2
        pixels = torch.from_numpy(frames[start : start + FRAMES]).permute(0, 3, 1, 2).float()
        small = F.interpolate(pixels, size=(48, 64), mode="bilinear", antialias=True, align_corners=False)
        videos.append(small.round().clamp(0, 255).byte())
    return torch.stack(videos), torch.tensor([names.index(row["label"]) for row in table])


class Policy(nn.Module):
    """The probability of each cluster from its error and how that has changed: two weights, shared by all."""

    def __init__(self) -> None:
        super().__init__()
        self.score = nn.Linear(2, 1, bias=False)
        nn.init.zeros_(self.score.weight)

    def forward(self, error: Tensor, before: Tensor) -> Tensor:
        """Errors (C,) now and before -> (C,), of which a fifth is uniform."""
        state = torch.stack([(error - error.mean()) / error.std().clamp(min=1e-3), 10 * (error - before)], 1)
        chances: Tensor = 0.8 * self.score(state)[:, 0].softmax(0) + 0.2 / CLUSTERS
        return chances


def measure(clips: dict[str, tuple[Tensor, Tensor]], seed: int, steps: int, *, is_learned: bool) -> tuple[float, float]:
    """Held-out accuracy of the puzzles and of actions after training."""
    torch.manual_seed(seed)
    encoder = build_encoder("timm:test_resnet", size=SIZE)
    task = VideoJigsaw(encoder, VideoJigsaw.Config(permutations=PERMUTATIONS, frames=FRAMES), SIZE)
    clusters = clusters_of(task.permutations)
    validation = clips["train"][0][1::8]
    training = torch.cat([clips["train"][0][k::8] for k in (0, 2, 3, 4, 5, 6, 7)])
    policy, rng = Policy(), generator("policy", seed)
    update, update_policy = build_optimizer(task, "adamw", 2e-3, 1e-2), torch.optim.SGD(policy.parameters(), lr=2.0)
    error, loss = errors(task, validation, clusters)
    chances, expected, before = torch.full((CLUSTERS,), 1 / CLUSTERS), 0.0, error
    for step in range(steps):
        rows = torch.randint(len(training), (ROWS,), generator=rng)
        example = redrawn(task, task.pseudo_label(as_batch(training[rows]), rng), clusters, chances.detach(), rng)
        update.zero_grad()
        task.loss(task(example), example)["loss"].backward()
        update.step()
        if (step + 1) % EVERY == 0 and is_learned:
            error_now, loss_now = errors(task, validation, clusters)
            reward = loss - loss_now
            if step >= EVERY:  # the first choice was uniform, not the policy's
                advantage = (reward - expected) / max(abs(expected), 1e-3)
                drawn = torch.multinomial(chances.detach(), ROWS * EVERY, replacement=True, generator=rng)
                update_policy.zero_grad()
                (-max(-1.0, min(1.0, advantage)) * chances.log()[drawn].mean()).backward()
                update_policy.step()
            expected = reward if step < EVERY else 0.8 * expected + 0.2 * reward
            before, error, loss = error, error_now, loss_now
            chances = policy(error, before)
    test, labels = clips["test"]
    accuracy = 1 - float(errors(task, test, clusters, rounds=4)[0].mean())
    return accuracy, action_accuracy(task, clips["train"], (test, labels))


def clusters_of(permutations: Tensor) -> Tensor:
    """Permutations by the order of their frames: (C, PERMUTATIONS / C) numbers, as many in each."""
    order = permutations[:, 0] // 4 * 3 + permutations[:, 4] // 4
    names = order.unique()
    most = min(int((order == name).sum()) for name in names)
    return torch.stack([(order == name).nonzero()[:most, 0] for name in names])


def redrawn(task: VideoJigsaw, example: Example, clusters: Tensor, chances: Tensor, rng: Generator) -> Example:
    """The same tiles with permutations of clusters that are drawn with these chances (C,)."""
    n, q = example.permutation.shape
    cluster = torch.multinomial(chances, n * q, replacement=True, generator=rng)
    member = torch.randint(clusters.shape[1], (n * q,), generator=rng)
    permutation = clusters[cluster, member].view(n, q)
    places = task.permutations[permutation] + TILES * torch.arange(n)[:, None, None]
    return Example(example.tiles, places, permutation)


@torch.no_grad()
def errors(task: VideoJigsaw, videos: Tensor, clusters: Tensor, *, rounds: int = 2) -> tuple[Tensor, float]:
    """Share of wrong answers of each cluster (C,), and the mean loss, over uniform permutations."""
    task.eval()
    wrong, seen, loss = torch.zeros(CLUSTERS), torch.zeros(CLUSTERS), []
    of = torch.zeros(PERMUTATIONS, dtype=torch.int64)
    of[clusters.flatten()] = torch.arange(CLUSTERS).repeat_interleave(clusters.shape[1])
    uniform = torch.full((CLUSTERS,), 1 / CLUSTERS)
    for number in range(rounds):
        rng = generator("errors", number)
        example = redrawn(task, task.pseudo_label(as_batch(videos), rng), clusters, uniform, rng)
        logits = task(example)
        loss.append(float(F.cross_entropy(logits.flatten(0, 1), example.permutation.flatten())))
        cluster = of[example.permutation].flatten()
        wrong += torch.bincount(cluster, (logits.argmax(2) != example.permutation).flatten().float(), CLUSTERS)
        seen += torch.bincount(cluster, minlength=CLUSTERS)
    task.train()
    return wrong / seen.clamp(min=1), statistics.mean(loss)


@torch.no_grad()
def action_accuracy(task: VideoJigsaw, train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor]) -> float:
    """Ridge regression from features of five frames of each video, averaged, to its action."""
    task.eval()

    def features(videos: Tensor) -> Tensor:
        frames = videos[:, ::3]
        rows = torch.cat([task.encoder(centre_view(part.flatten(0, 1), SIZE)) for part in frames.split(32)])
        found = F.normalize(rows.unflatten(0, frames.shape[:2]).mean(1).double(), dim=1)
        return torch.cat([found, torch.ones(len(found), 1, dtype=torch.float64)], 1)

    x, y = features(train[0]), F.one_hot(train[1]).double()
    weights = torch.linalg.solve(x.T @ x + 1e-2 * torch.eye(x.shape[1], dtype=torch.float64), x.T @ y)
    return float(((features(test[0]) @ weights).argmax(1) == test[1]).float().mean())


def as_batch(videos: Tensor) -> Batch:
    return Batch(index=torch.arange(len(videos)), inputs={"video": videos})


if __name__ == "__main__":
    main()

"""What `evidence.py` measures: one data set, encoder and budget for all tasks of a table, and what the table says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Measured:
    """One column of a table: what is measured of the encoder of each task."""

    probe: str
    data: str
    flags: tuple[str, ...] = ()
    tasks: tuple[str, ...] = ()
    """Those that are measured; all unless given."""


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One data set, one encoder, one budget for all its tasks."""

    data: str
    tasks: dict[str, tuple[str, ...]]
    """Task -> its own flags."""
    flags: str
    """Flags all tasks share: encoder, size, batch, steps."""
    evaluate: tuple[str, ...] = ()
    """Flags of every probe."""
    fractions: tuple[float, ...] = (1.0, 0.01)
    seeds: tuple[int, ...] = (0, 1)
    data_of_task: Mapping[str, str] = field(default_factory=dict)
    """Task -> what it is trained on, where it is not `data`."""
    labelled: str = ""
    """What the probes read, where it is not `data`."""
    page: str = "evidence"
    """Page of docs/results that shows the table."""
    probe: str = "linear"
    """What measures the factors."""
    factors: tuple[str, ...] = ()
    """What `probe` measures in place of fractions and k-NN: labels of moving sequences, else one name for a column."""
    measured: Mapping[str, Measured] = field(default_factory=dict)
    """Name of a column -> what is measured, in place of all of these."""
    reading: str = ""
    """What can be concluded from the table, and what cannot; paragraphs with empty lines between."""

    def data_of(self, task: str) -> str:
        """What a task is trained on."""
        return self.data_of_task.get(task, self.data)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of what is measured in place of fractions and k-NN."""
        return tuple(self.measured) or self.factors

    def measurements(self, task: str) -> dict[str, tuple[str, str, tuple[str, ...]]]:
        """Name of each result of a task -> probe, what it reads, and its flags."""
        if self.measured:
            asked = {name: one for name, one in self.measured.items() if not one.tasks or task in one.tasks}
            return {name: (one.probe, one.data, one.flags) for name, one in asked.items()}
        labelled = self.labelled or self.data
        if self.factors:
            drawn = labelled.startswith("moving:")
            return {
                one: (self.probe, f"{labelled},label={one}" if drawn else labelled, self.evaluate)
                for one in self.factors
            }
        # A share is one of all labels, not of those that the limit leaves.
        found = {
            "linear" if share == 1 else f"linear {share:g}": (
                "linear",
                labelled,
                self.evaluate if share == 1 else ("--fraction", str(share)),
            )
            for share in self.fractions
        }
        return found | {"knn": ("knn", labelled, self.evaluate)}


@dataclass(frozen=True)
class Change:
    """Why rows that were measured before `date` (ISO) are marked on the page: they are not of today's method."""

    date: str
    measured: str
    """Commit and date of the marked rows, which do not hold their own."""
    what: str


_GAME = "ad11463 (2026-11-25)"
_CLIPS = "6a76d2c (2026-11-24)"
CHANGES = {
    "jhmdb14/moving_object": Change(
        "2026-11-30",
        "9cfcea4 or earlier (2026-11-29)",
        "masks are those of uNLC by default, and masks of flow lose a homography instead of an affine motion",
    ),
    "cifar10/gan": Change(
        "2026-11-29",
        _GAME,
        "the discriminator sees real and generated images in one batch and rotated copies in another",
    ),
    "cifar10/bigan": Change(
        "2026-11-29",
        _GAME,
        "the discriminator has a third class for mismatched pairs, and uses no batch statistics",
    ),
    "cifar10/graph_constraint": Change(
        "2026-11-29", _GAME, "positive pairs start from every image on a cycle (5,120 of 10,000) instead of 490"
    ),
    "cifar10/deep_embedded_clustering": Change(
        "2026-11-29",
        "6a76d2c to 677ffb5 (2026-11-24 and 25)",
        "clustering starts after the autoencoder's share of the steps, not at the end of the epoch",
    ),
    "weizmann4/frame_order_verification": Change(
        "2026-11-29", _CLIPS, "frames similar to the middle one are no longer used as wrong middle frames"
    ),
    "asl_letters12/frame_order_verification": Change(
        "2026-11-29", _CLIPS, "frames similar to the middle one are no longer used as wrong middle frames"
    ),
}
"""By "setting/task"; rows measured before are marked until they are measured again."""

FEW_LABELS = Change(
    "2026-11-29",
    "712cf76 or earlier (2026-11-24 to 28)",
    "for up to 1,024 labels, the linear probe uses float64 and chooses its regularisation by leave-one-out",
)
"""Of the linear probe with a share of the labels, in every row."""

TEACHER = "TEACHER"
"""Stands for the run that `distill` learns from, one of `simclr` for 2,000 steps, that `evidence.py` makes first."""

_CIFAR10: dict[str, tuple[str, ...]] = {
    "rotation": ("--lr", "0.1", "--task.min-scale", "0.5"),
    "simclr": ("--task.jitter", "0.5", "--task.blur", "0", "--task.min-scale", "0.2"),
    "moco": (*("--lr", "0.06", "--task.queue", "1024"), *("--task.jitter", "0.5", "--task.blur", "0")),
    "supervised": ("--lr", "0.1", "--task.min-scale", "0.6"),
    "autoencoder": (),
    "jigsaw": (),
    "artifacts": (),
    "split_brain": (),
    "inpainting": (),
    "colorization": ("--task.hypercolumn",),
    "super_resolution": (),
    "gan": (),
    "context_prediction": (),
    "transformation": ("--lr", "0.1"),
    "graph_constraint": (),
    "noise_as_targets": ("--lr", "0.1", "--limit", "5000", "--task.jitter", "0.5"),
    "deep_embedded_clustering": (
        *("--optimizer", "adamw", "--lr", "1e-3", "--task.reconstruction", "10"),
        *("--task.clusters", "100", "--task.embedding", "64"),
    ),
    "clustering": ("--lr", "0.1", "--task.min-scale", "0.3", "--task.every", "0.5"),
    "exemplar": ("--task.exemplars", "1024"),
    "counting": (),
    "bigan": (),
    "distill": ("--optimizer", "sgd", "--lr", "0.1", "--weight-decay", "5e-4", "--task.teacher", TEACHER),
}
_READING = """
What can be concluded: for nineteen of the 21 pretext tasks the best stage is better than that of the same encoder
with random weights, with both seeds; for fourteen of them by more than one point. Rotation is first, and with 500
labels (linear 0.01) the first of those without a teacher. Almost all of the gain is in layer1 and layer2; the last
stage is the worst for almost every task, as it is specialised in the pretext task. This agrees with Table IV of the
survey, where the middle layers are best and the first and last ones worse. The order of that table is confirmed in
part: jigsaw, split_brain, clustering and counting lead, then context_prediction, then colorization and bigan; rotation
is ahead of all of them, as in its own paper.

What differs from the survey, and why: clustering is not ahead of the others, as two epochs allow only four cluster
assignments, and the paper has hundreds. inpainting is not last: at 32 pixels it needs continued edges and colours,
which the first stages have to learn. colorization is low in this table, as its encoder sees no colour: random weights
on grey images reach 41.4, and it gains 4.7 points over them, more than any task except rotation, distill and simclr.
With nearest neighbours on the last stage the order is different: tasks that separate instances or reconstruct the image
gain most (split_brain, simclr, exemplar, autoencoder), and those that use parts or details (jigsaw, transformation,
super_resolution, context_prediction, inpainting, artifacts, bigan) are below random weights.

moco gains 2.7 points and simclr 5.0. Both learn to find the other view (held-out accuracy 0.24 among 128 keys, 0.46
among 255 views), but two epochs are short for a method whose keys come from a slow copy of a randomly initialised
encoder. Two observations from single runs of 100 to 300 steps: With the recipe's learning rate (0.015 at this batch
size), 4,096 keys and the initial random vectors as negatives, the embeddings collapsed (mean cosine similarity of
different images 0.98 after 300 steps). This row therefore uses a rate of 0.06, as simclr, and 1,024 keys, which are 8
batches as in the authors' code for CIFAR-10. The guard also slows learning: with the statistics of sub-batches of 16
images, the cosine similarity of positives was 0.04 above that of other images after 100 steps; with those of the whole
batch, which leak, it was 0.10 above.

distill is not one of several ways to begin: it learns from TEACHER, the encoder after 2,000 steps of simclr on the same
images (`--steps 2000`, seed 0, else as simclr in this table), whose stages reach 54.5 (layer1) and 47.9 (layer4). With
800 steps it comes near to both, and its nearest neighbours are those of an encoder trained for longer. With the
recipe's LARS instead of SGD, which is meant for longer training, its best stage was 49.0 in a single run.

Tasks at the level of random weights, and what was tried: bigan's codes cannot be matched after two epochs (its paper
has more than a hundred), though its generated images become more similar to real ones. noise_as_targets: 42.1 with all
50,000 images, each seen twice with its target; 43.9 if targets are exchanged in every epoch; 43.8 with 5,000 images;
45.2 if colours, which identify images at once, are jittered too (the paper removes them). Its last stages and nearest
neighbours are above random weights. deep_embedded_clustering: 42.9 as in the paper with 10 dimensions and 10 clusters,
42.7 with AdamW, 45.6 with 64 dimensions, 100 clusters and the reconstruction kept (IDEC): 10 dimensions are too few for
photographs. super_resolution was 0.4 dB below bicubic interpolation when its generator was not first trained alone;
transformation reached 45.6 when it magnified the middle of such small images.

What cannot be concluded: the order after longer training, as 800 steps are two epochs and longer schedules change the
order (the table below has the best few tasks with four times the steps), and differences of less than a point between
tasks, as each has only two seeds. Speed and memory of rotation, simclr and supervised are from one seed; those of moco
were measured on a busy machine.
"""

_LONG = """
What can be concluded: with four times the steps, the gain of each of the four tasks over random weights is about twice
as large. Rotation is first by far (15.8 points; 7.0 after 800 steps), and its best stage is layer2 instead of layer1;
with 500 labels it reaches 55.8, and random weights 34.8. With nearest neighbours on the last stage simclr is first, as
in the shorter runs. The gap to supervised training does not close: it gains 32.0 in as many steps. All pretext tasks
are still improving, so the final order is open; the paper of simclr trains for hundreds of epochs, this table for
eight. There is only one seed; the table above shows the difference between two seeds.
"""

_VIT = """
What can be concluded: mae works in this setting, with both seeds. Its best stage is 9.7 points above random weights;
supervised training gains 11.3 points in as many steps (12.6 and 9.9 with the two seeds). With 500 labels (linear 0.01)
mae gains 8.4 points and supervised training 12.4. Every block gains, the first one already 7.8 points, whereas the
supervised encoder gains mostly in its last blocks. With nearest neighbours, which use the class token, mae is 3 points
above random weights and far below the supervised encoder, as no loss is applied to the class token.

What cannot be concluded: how good mae is at scale. The encoder is the smallest vision transformer of timm (64 features,
6 blocks, 0.26 million weights) and sees each image twice; the paper trains ViT-L for 1,600 epochs. In such short runs
it is behind a convolutional network: supervised resnet18 reaches 61.8 in as many steps (first table). Speed and memory
are not reported, as the machine was shared.
"""

_JHMDB14 = """
What can be concluded: which parts of a frame move can be predicted from that frame alone, also on held-out source
groups. The metric is the mean of the accuracies on moving and on still cells. It is 61.9 %; chance is 50 %, and the
mean mask of the training crops, which only reflects where people point the camera, reaches 57.3 %. What cannot be
concluded: that the features help to distinguish the 14 actions. The best stage is below that of random weights, and the
results of nearest neighbours are equal within their interval of about 5 points. The 404 training clips come from 113
source groups; the paper has 205,000 videos. The speeds were measured on a busy machine.

frame_order_recognition predicts the order of four frames on held-out groups twice as well as chance: 16.6 % of 12
orders (chance 8.3 %) after 1,200 steps; after 300 steps it was at 10.4 %. Its features do not distinguish the actions
better than random weights: their best stage is 4.6 points below. clip_rotation is in the next table.
"""

_JHMDB14_CLIPS = """
What can be concluded: the angle of a clip is predicted slightly better than chance on held-out groups, with both seeds
(30.4 %, chance 25 %). On the training clips the accuracy is about 60 %, so the network overfits the 404 clips in 200
steps. Its features are no better than random weights at this size. The speeds were measured on a busy machine.
"""

SETTINGS = {
    "cifar10": Setting(
        data="cifar10",
        tasks=_CIFAR10,
        flags="--encoder resnet18 --stem standard --size 32 --batch-size 128 --steps 800",
        evaluate=("--limit", "2000"),
        reading=_READING,
    ),
    "cifar10-long": Setting(
        data="cifar10",
        tasks={task: _CIFAR10[task] for task in ("rotation", "exemplar", "simclr", "split_brain", "supervised")},
        flags="--encoder resnet18 --stem standard --size 32 --batch-size 128 --steps 3200",
        evaluate=("--limit", "2000"),
        seeds=(0,),
        reading=_LONG,
    ),
    "cifar10-vit": Setting(
        data="cifar10",
        tasks={
            "mae": ("--lr", "2e-3"),
            "supervised": (
                *("--optimizer", "adamw", "--lr", "2e-3", "--weight-decay", "0.05"),
                *("--task.min-scale", "0.6"),
            ),
        },
        flags="--encoder timm:test_vit --size 32 --batch-size 128 --steps 800",
        evaluate=("--limit", "2000"),
        reading=_VIT,
    ),
    "imagenette128": Setting(
        data="imagenette128",
        tasks={
            "rotation": ("--lr", "0.1", "--task.min-scale", "0.5"),
            "simclr": ("--task.min-scale", "0.2"),
            "supervised": ("--lr", "0.1"),
        },
        flags="--encoder resnet18 --stem standard --size 64 --batch-size 128 --steps 600",
        fractions=(1.0,),
        seeds=(0,),
    ),
    "weizmann4": Setting(
        page="evidence-video",
        data="weizmann4",
        tasks={"frame_order_verification": ("--lr", "1e-3"), "supervised": ()},
        flags="--encoder resnet18 --size 48 --batch-size 24 --steps 600 --evaluate-every 20",
        fractions=(1.0,),
        reading="What can be concluded: little. The training split has 48 clips of 6 performers, the test split 24 "
        "clips of 3 others, so one clip is 4 points. Single frames already show the four actions: random weights with "
        "a linear probe are best, above supervised training. Frame order is learned for the training "
        "performers and hardly generalises to new ones. Measuring the features needs more videos.",
    ),
    "asl_letters12": Setting(
        page="evidence-video",
        data="asl_letters12",
        tasks={"frame_order_verification": ("--lr", "1e-3"), "supervised": ()},
        flags="--encoder resnet18 --size 48 --batch-size 24 --steps 300 --evaluate-every 10",
        fractions=(1.0,),
        reading="What can be concluded: the order of frames is predicted for a person never seen in training, so the "
        "pretext task works. What cannot be concluded: that its features help here. All training clips show one "
        "person and all test clips another; supervised training and frame order both overfit to the first person, "
        "and fixed random features generalise best.",
    ),
    "av_clips": Setting(
        data="av_clips",
        tasks={"audio_visual": ("--lr", "1e-3", "--held-out", "0.25")},
        flags="--encoder resnet18 --size 64 --batch-size 32 --steps 400 --evaluate-every 20",
        evaluate=("--limit", "2000"),
        fractions=(1.0,),
        labelled="imagenette128",
        reading="What can be concluded: nothing about the task in general. There are 17 training and 6 held-out clips; "
        "the network memorises the training clips and is at chance, or below, on the others. Its image features "
        "classify imagenette128 about as well as random weights. There is no supervised row, as hardly any two "
        "clips share a label.",
    ),
    "jhmdb14": Setting(
        page="evidence-video",
        data="jhmdb14",
        tasks={
            "moving_object": ("--optimizer", "adamw", "--lr", "1e-3"),
            "frame_order_recognition": (
                *("--steps", "1200", "--evaluate-every", "30", "--optimizer", "adamw", "--lr", "2e-3"),
                *("--task.orders", "12", "--task.frames", "10"),
                *("--task.stride", "3", "--task.window", "0.8", "--task.jitter", "0.03", "--task.dropout", "0"),
                *("--task.features", "256", "--task.pair", "256"),
            ),
        },
        flags="--encoder resnet18 --size 64 --batch-size 32 --steps 300 --evaluate-every 8",
        fractions=(1.0,),
        reading=_JHMDB14,
    ),
    "jhmdb14-clips": Setting(
        page="evidence-video",
        data="jhmdb14",
        tasks={"clip_rotation": ("--task.frames", "4", "--task.stride", "3")},
        flags="--encoder r3d_18 --stem standard --size 32 --batch-size 16 --steps 200 --evaluate-every 4",
        fractions=(1.0,),
        seeds=(0, 1),
        reading=_JHMDB14_CLIPS,
    ),
}


def teacher_words(setting: Setting) -> list[str]:
    """Flags of the run that `TEACHER` stands for: `simclr` with the encoder of a setting, for 2,000 steps."""
    shared = setting.flags.split()
    shared[shared.index("--steps") + 1] = "2000"
    return ["--task", "simclr", *shared, *setting.tasks["simclr"], "--seed", "0"]

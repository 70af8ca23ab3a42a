"""What `evidence.py` measures: one data set, encoder and budget for all tasks of a table, and what the table says."""

from __future__ import annotations

from dataclasses import dataclass


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
    labelled: str = ""
    """What the probes read, where it is not `data`."""
    reading: str = ""
    """What can be concluded from the table, and what cannot; paragraphs with empty lines between."""


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
    "cifar10/gan": Change(
        "2026-11-29",
        _GAME,
        "real and generated images are judged in one batch, turned copies in another",
    ),
    "cifar10/bigan": Change(
        "2026-11-29",
        _GAME,
        "the discriminator also names pairs that do not match, and judges each pair without the batch's statistics",
    ),
    "cifar10/graph_constraint": Change(
        "2026-11-29", _GAME, "positive pairs begin with every image on a cycle (5,120 of 10,000), not with 490"
    ),
    "cifar10/deep_embedded_clustering": Change(
        "2026-11-29",
        "6a76d2c to 677ffb5 (2026-11-24 and 25)",
        "clusters are made when the autoencoder has had its share of the steps, not at the next turn of an epoch",
    ),
    "weizmann4/frame_order_verification": Change(
        "2026-11-29", _CLIPS, "frames that look like the middle one do not take its place"
    ),
    "asl_letters12/frame_order_verification": Change(
        "2026-11-29", _CLIPS, "frames that look like the middle one do not take its place"
    ),
}
"""By "setting/task"; rows measured before are marked until they are measured again."""

FEW_LABELS = Change(
    "2026-11-29",
    "712cf76 or earlier (2026-11-24 to 28)",
    "with up to 1,024 labelled samples the linear probe works in float64 and chooses its strength by leaving one out",
)
"""Of the linear probe with a share of the labels, in every row."""

_CIFAR10: dict[str, tuple[str, ...]] = {
    "rotation": ("--lr", "0.1", "--task.min-scale", "0.5"),
    "simclr": ("--task.jitter", "0.5", "--task.blur", "0", "--task.min-scale", "0.2"),
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
}

_READING = """
What can be concluded: seventeen of the nineteen pretext tasks have a best stage above that of the same encoder with
random weights with both seeds, twelve of them by more than one point with both; rotation is first, and with 500 labels
(linear 0.01) it is first again. Almost all of the gain lies in layer1 and layer2; the last stage is the worst one of
almost every task, as it answers the pretext question. That is the survey's reading of its Table IV: middle layers best,
first and last worse. The order of that table holds in part: jigsaw, split_brain, clustering and counting lead, then
context_prediction, then colorization and bigan; rotation is above them all, as in its own paper.

What does not hold, and why: clustering is not ahead of the others, as two passes give it four assignments where the
paper makes hundreds. inpainting is not last: what it needs at 32 pixels, edges that go on and colours, is what the
first stages have to learn. colorization is low in this table, as its encoder sees no colour: random weights that see
none reach 41.4, and it gains 4.7 points on those, more than any task but rotation and simclr. By nearest neighbours on
the last stage the order is another one: tasks that tell instances apart or rebuild the picture gain most
(split_brain, simclr, exemplar, autoencoder), and those that look at parts or at detail (jigsaw, transformation,
super_resolution, context_prediction, inpainting, artifacts, bigan) are below random weights.

Tasks at the level of random weights, and what was tried: bigan's codes cannot be matched after two passes (its paper
makes a hundred and more); its generator's pictures come nearer to real ones. noise_as_targets: 42.1 with all 50,000
pictures, each of whose targets is seen twice; 43.9 where targets are exchanged in every pass; 43.8 with 5,000 pictures;
45.2 where colours, which tell pictures apart at once, are jittered too (the paper takes them away). Its last stages and
nearest neighbours are above random weights. deep_embedded_clustering: 42.9 in the paper's form with ten numbers and
ten clusters, 42.7 by AdamW, 45.6 with 64 numbers, 100 clusters and the autoencoder kept (IDEC): ten numbers hold too
little of a photograph. super_resolution was 0.4 dB below bicubic interpolation before its generator learned alone
first, transformation was at 45.6 as long as it magnified the middle of pictures that are this small.

What cannot be concluded: the order in the long run, as 800 steps are two passes over the data and longer schedules
change it (the table below has the best few four times as long), and differences of less than a point between tasks, of
which there are two seeds each. Speed and memory of rotation, simclr and supervised are those of one seed.
"""

_LONG = """
What can be concluded: with four times the steps each of the four gains about twice as much over random weights.
Rotation stays first by far (15.8 points, 7.0 after 800 steps), and its best stage is layer2 instead of layer1; with 500
labels it is at 55.8, where random weights reach 34.8. By nearest neighbours on the last stage simclr is first, as in
the shorter runs. The gap to training with labels does not close: these gain 32.0 in as many steps. No pretext task is
near its ceiling yet, so the order in the end is still open; simclr's paper has hundreds of passes, where this table has
eight. One seed only: the shorter table says how far two seeds lie apart.
"""

_VIT = """
What can be concluded: mae works in this setting. Its best stage is 10 points above random weights, of the 13 that the
labels gain in as many steps; with 500 labels (linear 0.01) it gains 8 of 13. Every block gains, the first already 8
points, where the supervised encoder gains mostly in its last blocks. By nearest neighbours, which read the class token,
it is 2 points above random weights and far below the supervised encoder: no loss asks anything of the class token.

What cannot be concluded: how far it goes. The encoder is the smallest of timm's vision transformers (64 features, 6
blocks, 0.26 million weights) and sees each image twice; the paper has ViT-L and 1,600 passes. In runs this short it is
behind a convolutional network: with labels resnet18 reaches 61.8 in as many steps (first table). Other work ran on the
machine, so speed and memory are not reported.
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
        data="weizmann4",
        tasks={"frame_order_verification": ("--lr", "1e-3"), "supervised": ()},
        flags="--encoder resnet18 --size 48 --batch-size 24 --steps 600 --evaluate-every 20",
        fractions=(1.0,),
        reading="What can be concluded: little. 48 clips of 6 performers train, 24 clips of 3 others test, and one "
        "clip is 4 points. The four actions show in single frames already: random weights with a linear probe "
        "are the best row, above the labels themselves. Frame order is learned on the performers seen and "
        "hardly carries over to new ones. It takes more videos to say what the task's features are worth.",
    ),
    "asl_letters12": Setting(
        data="asl_letters12",
        tasks={"frame_order_verification": ("--lr", "1e-3"), "supervised": ()},
        flags="--encoder resnet18 --size 48 --batch-size 24 --steps 300 --evaluate-every 10",
        fractions=(1.0,),
        reading="What can be concluded: the order of frames can be told on a person never seen, so the pretext task "
        "works. What cannot: that its features help here. All training clips show one person and all test "
        "clips another; labels and frame order alike fit the one person, and fixed random features carry over "
        "best.",
    ),
    "av_clips": Setting(
        data="av_clips",
        tasks={"audio_visual": ("--lr", "1e-3", "--held-out", "0.25")},
        flags="--encoder resnet18 --size 64 --batch-size 32 --steps 400 --evaluate-every 20",
        evaluate=("--limit", "2000"),
        fractions=(1.0,),
        labelled="imagenette128",
        reading="What can be concluded: nothing about the task in general. 17 clips train and 6 are held out; the "
        "network remembers the clips it saw and is at chance, or below, on the others. Its image features "
        "tell photographs of imagenette128 about as well as random weights. There is no supervised row, as "
        "hardly two clips share a label.",
    ),
}

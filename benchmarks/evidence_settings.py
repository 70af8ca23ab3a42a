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

SETTINGS = {
    "cifar10": Setting(
        data="cifar10",
        tasks=_CIFAR10,
        flags="--encoder resnet18 --stem standard --size 32 --batch-size 128 --steps 800",
        evaluate=("--limit", "2000"),
        reading="What can be concluded: rotation and simclr learn features that tell classes better than the best "
        "stage of random weights, with 2,000 labels, with 500 (linear 0.01) and by nearest neighbours, beyond "
        "the spread over seeds, and the middle stages gain most. What cannot: which of the two is better in "
        "the long run, as 800 steps are two passes over the data and longer schedules change the order. Rows with one "
        "seed are the first of two, and tasks that are not in the table yet have not been measured.",
    ),
    "cifar10-long": Setting(
        data="cifar10",
        tasks={task: _CIFAR10[task] for task in ("rotation", "exemplar", "simclr", "split_brain", "supervised")},
        flags="--encoder resnet18 --stem standard --size 32 --batch-size 128 --steps 3200",
        evaluate=("--limit", "2000"),
        seeds=(0,),
    ),
    "imagenette128": Setting(
        data="imagenette128",
        tasks={
            "rotation": ("--lr", "0.1", "--task.min-scale", "0.5"),
            "simclr": ("--task.min-scale", "0.2"),
            "supervised": ("--lr", "0.1"),
        },
        flags="--encoder resnet18 --stem standard --size 64 --batch-size 128 --steps 1000",
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

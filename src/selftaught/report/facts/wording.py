"""How metrics are written: units, digits, signs, intervals."""

from __future__ import annotations

from dataclasses import dataclass

from selftaught.report.facts.read import finite

MOST_NAMES = 3
"""Tasks that a sentence names."""

Interval = tuple[float, float]
"""95 % confidence: lower and upper end."""


@dataclass(frozen=True)
class Metric:
    """A metric by its name in the files.

    Attributes:
        words: as people write it.
        percent: whether it is a share in percent, of which differences are points.
        help: how to read it, where its name does not say it.
    """

    words: str
    percent: bool = True
    help: str = ""


METRICS = {
    "top1": Metric("top-1"),
    "top5": Metric("top-5"),
    "map": Metric("mAP"),
    "mean_ap": Metric("mAP"),
    "map_11_point": Metric("mAP, 11 points as in VOC 2007"),
    "average_precision": Metric("AP"),
    "voc.ap50": Metric("VOC AP at IoU 0.5"),
    "voc.ap50_2007": Metric("VOC AP at IoU 0.5, 11 points as in 2007"),
    "coco.ap": Metric("COCO AP at IoU 0.5 to 0.95"),
    "coco.ap50": Metric("COCO AP at IoU 0.5"),
    "coco.ap75": Metric("COCO AP at IoU 0.75"),
    "miou": Metric("mIoU"),
    "iou": Metric("IoU"),
    "pixel_accuracy": Metric("pixel accuracy"),
    "mean_accuracy": Metric("mean accuracy of the classes"),
    "commonest_class": Metric("mIoU of saying the commonest class everywhere"),
    "recall": Metric("recall@1"),
    "j_and_f": Metric("J&F"),
    "region": Metric("J", help="intersection over union of the region"),
    "boundary": Metric("F", help="agreement of the boundary within 0.8 % of the diagonal"),
    "identity.j_and_f": Metric("J&F of keeping the first masks"),
    "identity.region": Metric("J of keeping the first masks"),
    "identity.boundary": Metric("F of keeping the first masks"),
    "ods": Metric("ODS", help="F measure of contours at the best threshold for all images"),
    "order_accuracy": Metric("order accuracy of depth", help="random pairs of pixels; 50 is chance"),
    "spearman": Metric("Spearman's correlation of depth", percent=False, help="of the ranks of depth; 0 is chance"),
    "abs_rel": Metric("relative error of depth", percent=False, help="after scaling by the median; lower is better"),
    "near_share": Metric("depth within a factor of 1.25"),
    "constant.order_accuracy": Metric("order accuracy of a constant"),
    "constant.spearman": Metric("Spearman's correlation of a constant", percent=False),
    "constant.abs_rel": Metric("relative error of a constant", percent=False),
    "constant.near_share": Metric("within a factor of 1.25: a constant"),
    "lower_is_nearer.order_accuracy": Metric("order accuracy of lower in the image is nearer"),
    "lower_is_nearer.spearman": Metric("Spearman's correlation of lower in the image is nearer", percent=False),
    "lower_is_nearer.abs_rel": Metric("relative error of lower in the image is nearer", percent=False),
    "lower_is_nearer.near_share": Metric("within a factor of 1.25: lower in the image is nearer"),
    "mean_map.order_accuracy": Metric("order accuracy of the mean map"),
    "mean_map.spearman": Metric("Spearman's correlation of the mean map", percent=False),
    "mean_map.abs_rel": Metric("relative error of the mean map", percent=False),
    "mean_map.near_share": Metric("within a factor of 1.25: the mean map"),
    "zero_shot.order_accuracy": Metric("order accuracy of the task's own prediction"),
    "zero_shot.spearman": Metric("Spearman's correlation of the task's own prediction", percent=False),
    "zero_shot.abs_rel": Metric("relative error of the task's own prediction", percent=False),
    "zero_shot.near_share": Metric("within a factor of 1.25: the task's own prediction"),
    "rankme": Metric("RankMe", percent=False, help="effective rank of the features; higher is richer"),
    "alpha_req": Metric("α-ReQ", percent=False, help="decay of the eigenvalues of the covariance; near 1 is best"),
    "lidar": Metric("LiDAR", percent=False, help="effective rank of what separates samples; higher is richer"),
    "alignment": Metric(
        "Alignment", percent=False, help="squared distance of two views of a sample; 0 is the same, 2 unrelated"
    ),
    "uniformity": Metric(
        "Uniformity", percent=False, help="log mean Gaussian potential; 0 is one point, about −4 spread evenly"
    ),
    "feature_std": Metric(
        "Feature standard deviation", percent=False, help="1 is spread evenly, 0 is collapse"
    ),
}  # fmt: skip


LABEL_FREE = ("rankme", "alpha_req", "alignment", "uniformity", "feature_std")
"""Columns of heldout.csv that need no label and belong to no task."""


def metric_of(name: object) -> Metric:
    """What is known of a metric; one that is not known is a share of that name."""
    return METRICS.get(str(name), Metric(str(name or "").replace("_", " ")))


def percent(value: float | None) -> str:
    """A value in percent, one digit; a dash where there is none."""
    return "–" if value is None else f"{value:.1f} %"


def points(difference: float | None) -> str:
    """A difference of two percentages with its sign."""
    return "–" if difference is None else f"{difference:+z.1f}".replace("-", "−")


def number(value: float | None) -> str:
    """A metric of unknown size, readable."""
    if value is None:
        return "–"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}".replace("-", "−")
    return (f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}").replace("-", "−")


def precise(value: float | None) -> str:
    """Three digits with their zeros, so that a column lines up."""
    return "–" if value is None else f"{value:#.3g}".rstrip(".").replace("-", "−")


def measured(metric: object, value: float | None) -> str:
    """A value of a probe's metric with its unit."""
    return percent(value) if metric_of(metric).percent else precise(value)


def gained(metric: object, difference: float | None) -> str:
    """A difference of two values of a probe's metric, with its sign."""
    if difference is None or metric_of(metric).percent:
        return points(difference)
    return f"{difference:+z#.3g}".rstrip(".").replace("-", "−")


def between(interval: Interval | None, metric: object = "top1") -> str:
    """Such as "61.9 to 64.3": the ends of an interval without their unit; nothing where there is none."""
    if interval is None:
        return ""
    low, high = (f"{end:z.1f}".replace("-", "−") if metric_of(metric).percent else precise(end) for end in interval)
    return f"{low} to {high}"


def interval_in(value: object) -> Interval | None:
    """The two ends in a file's [low, high]; None for everything else."""
    if not isinstance(value, list | tuple) or len(value) != 2:
        return None
    low, high = map(finite, value)
    return None if low is None or high is None else (low, high)


def sentence(words: str) -> str:
    """The words with a capital first letter; names keep their case, also such as mAP and k-NN."""
    is_name = words[1:2].isupper() or words.startswith("k-") or not words[:1].isascii()
    return words if is_name else words[:1].upper() + words[1:]


def listed(names: list[str]) -> str:
    """Such as "a, b and c"."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def few(names: list[str]) -> str:
    """The names, of many only the first ones, such as "a, b and 3 others"."""
    return listed(names if len(names) <= MOST_NAMES else [*names[: MOST_NAMES - 1], f"{len(names) - 2} others"])


def is_share(metric: str) -> bool:
    """Whether a pretext metric is a share in [0, 1] that people read as percent."""
    return "accuracy" in metric or metric.startswith("top")


def spoken(name: str) -> str:
    """Name of a scalar or pretext metric as people write it, such as "PSNR gain"."""
    return " ".join(word.upper() if word in ("nmi", "psnr", "ssim") else word for word in name.split("_"))


def pretext(metric: str, value: float | None) -> str:
    """A value of a task's own metric, with its unit."""
    if value is None:
        return "–"
    if is_share(metric) and 0 <= value <= 1:
        return percent(100 * value)
    return f"{value:.2f} dB" if "psnr" in metric else number(value)

"""Evaluations of single protocols as `evaluate` writes them, with the images they name, without computing any."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

Json = dict[str, Any]


def write(folder: Path, name: str, value: Json) -> Path:
    (folder / "evaluations").mkdir(parents=True, exist_ok=True)
    path = folder / "evaluations" / f"{name}.json"
    path.write_text(json.dumps(value))
    return path


def few_labels() -> list[Json]:
    """Fine-tuning at four numbers of labels, three draws of all but the last."""
    rows = []
    curves = [(95, 0.01, 41.0, 24.0), (473, 0.05, 55.0, 38.5), (947, 0.1, 61.0, 47.0), (9469, 1.0, 78.0, 76.0)]
    for labels, fraction, encoder, random in curves:
        draws = 3 if fraction < 1 else 1

        def drawn(value: float, draws: int = draws) -> Json:
            values = [round(value + d, 2) for d in (-1.0, 0.0, 1.0)][:draws] if draws > 1 else [value]
            return {"value": value, "spread": 1.0 if draws > 1 else None, "values": values}

        row = {"fraction": fraction, "train_samples": labels, "draws": draws}
        rows.append({**row, "encoder": drawn(encoder), "random": drawn(random)})
    return rows


def labels_saved() -> list[Json]:
    """What `selftaught.evaluation.metrics.labels_saved` makes of such curves; its own tests hold the arithmetic."""
    known: Json = {"bound": None, "bound_labels": None}
    rows: list[Json] = [
        {"labels": 95, "value": 41.0, "scratch_labels": 603, "saved": 508, "factor": 6.35, "range": [540, 671]},
        {"labels": 473, "value": 55.0, "scratch_labels": 1779, "saved": 1306, "factor": 3.76, "range": [1600, None]},
        {"labels": 9469, "value": 78.0, "scratch_labels": None, "saved": None, "factor": None, "range": None},
    ]
    return [{**known, **row} for row in rows[:2]] + [{**rows[2], "bound": "more than", "bound_labels": 9469}]


def add_finetune(folder: Path) -> Path:
    value = {"probe": "finetune", "metric": "top1", "value": 78.0, "stage": "pooled", "stages": {"pooled": 78.0}}
    value |= {"interval": [76.7, 79.3], "stage_intervals": {"pooled": [76.7, 79.3]}, "chance": 10.0, "fraction": 1.0}
    value |= {"train_samples": 9469, "test_samples": 3925, "gain": {"value": 2.0, "interval": [0.9, 3.1]}}
    random = {"value": 76.0, "stage": "pooled", "stages": {"pooled": 76.0}, "interval": [74.6, 77.3]}
    more = {"steps": 1000, "batch_size": 64, "lr": 0.01, "tried": {"0.01": 71.0, "0.1": 65.0}, "frozen": ["conv1"]}
    value |= {"random": random, "supervised": None, "more": more, "labelled": "data/imagenette128"}
    return write(folder, "finetune-0a1b2c3d", {**value, "few_labels": few_labels(), "labels_saved": labels_saved()})


def picture(path: Path, seed: int, size: tuple[int, int] = (96, 96)) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (size[1] // 8, size[0] // 8, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC).save(path)
    return path.name


def add_retrieval(folder: Path) -> Path:
    stem = "retrieval-0a1b2c3d"

    def result(who: str, recall: float) -> Json:
        at = folder / "evaluations" / stem / who
        names = [picture(at / f"test-{i}.jpg", i) for i in range(6)]
        gallery = [
            {
                "query": f"dog/{q}.png",
                "label": "dog",
                "picture": names[q],
                "nearest": [
                    {
                        "key": f"cat/{n}.png",
                        "label": "cat",
                        "similarity": 0.9 - n / 10,
                        "right": n < 2,
                        "picture": names[n],
                    }
                    for n in range(4)
                ],
            }
            for q in range(3)
        ]
        figures = {str(k): recall + 9 * i for i, k in enumerate((1, 5, 10))}
        more = {"recall": {"pooled": figures}, "map": {"pooled": recall / 2}, "index": "exact", "queries": 500}
        more["recall_intervals"] = {"pooled": {k: [v - 2, v + 2] for k, v in figures.items()}}
        more |= {"map_intervals": {"pooled": [recall / 2 - 1, recall / 2 + 1]}, "gallery": gallery}
        value = {"value": recall, "stage": "pooled", "stages": {"pooled": recall}, "interval": [recall - 2, recall + 2]}
        return {**value, "stage_intervals": {"pooled": [recall - 2, recall + 2]}, "more": more}

    value = {"probe": "retrieval", "metric": "recall", **result("encoder", 44.0), "random": result("random", 30.0)}
    value |= {"supervised": None, "chance": 10.0, "train_samples": 9469, "test_samples": 3925, "fraction": 1.0}
    value |= {"gain": {"value": 14.0, "interval": [11.5, 16.5]}, "labelled": "data/imagenette128"}
    return write(folder, stem, {**value, "files": {who: f"{stem}/{who}" for who in ("encoder", "random")}})


def add_detection(folder: Path) -> Path:
    stem = "detection-0a1b2c3d"

    def result(who: str, value: float) -> Json:
        at = folder / "evaluations" / stem / who
        drawn = [{"file": picture(at / f"boxes{i}.png", i, (320, 200)), "key": f"000{i}.jpg"} for i in range(3)]
        more: Json = {
            "rule": "voc",
            "per_class": {"dog": value + 5, "cat": value - 5, "cow": None},
            "boxes": {"dog": 9, "cat": 7},
        }
        more |= {"voc": {"ap50": value, "ap50_2007": value + 1}, "coco": {"ap": value / 2, "ap50": value, "ap75": 9.0}}
        more |= {"loss": 0.31, "pictures": drawn}
        found = {"value": value, "stage": "layer2+layer3", "stages": {"layer2+layer3": value}, "more": more}
        return {**found, "interval": [value - 4, value + 4], "stage_intervals": {}}

    value = {"probe": "detection", "metric": "map", **result("encoder", 31.0), "random": result("random", 22.0)}
    value |= {"supervised": None, "chance": None, "train_samples": 200, "test_samples": 60, "fraction": 1.0}
    value |= {"gain": {"value": 9.0, "interval": None}, "labelled": "data/voc_layout"}
    return write(folder, stem, {**value, "files": {who: f"{stem}/{who}" for who in ("encoder", "random")}})


def add_segmentation(folder: Path) -> Path:
    stem = "segmentation-0a1b2c3d"

    def result(who: str, value: float) -> Json:
        at = folder / "evaluations" / stem / who
        drawn = [{"file": picture(at / f"masks{i}.png", i, (3 * 120 + 16, 90)), "key": f"000{i}.png"} for i in range(3)]
        more: Json = {"per_class": {"road": value + 20, "car": value - 20, "sign": None}, "pixel_accuracy": value + 30}
        more |= {"mean_accuracy": value + 10, "commonest_class": 12.5, "size": 128, "loss": 0.5, "pictures": drawn}
        more["colours"] = {"road": "#800000", "car": "#008000", "sign": "red;background:url(x)"}
        found = {"value": value, "stage": "layer2+layer3", "stages": {"layer2+layer3": value}, "more": more}
        return {**found, "interval": [value - 4, value + 4], "stage_intervals": {}}

    value = {"probe": "segmentation", "metric": "miou", **result("encoder", 35.0), "random": result("random", 30.0)}
    value |= {"supervised": None, "chance": None, "train_samples": 200, "test_samples": 40, "fraction": 1.0}
    value |= {"gain": {"value": 5.0, "interval": [-1.0, 11.0]}, "labelled": "data/camvid"}
    return write(folder, stem, {**value, "files": {who: f"{stem}/{who}" for who in ("encoder", "random")}})


def add_label_free(folder: Path) -> Path:
    def result(scale: float) -> Json:
        figures = {
            "rankme": {"value": 40.0 * scale, "interval": [38.0 * scale, 42.0 * scale]},
            "alpha_req": {"value": 1.1, "interval": [1.0, 1.2]},
            "alignment": {"value": 0.6, "interval": [0.58, 0.62]},
        }
        value = {"value": 40.0 * scale, "stage": "pooled", "stages": {"pooled": 40.0 * scale}}
        more = {"figures": figures, "samples": 900, "cautions": ["900 held-out samples for 512 features"]}
        return {**value, "interval": figures["rankme"]["interval"], "stage_intervals": {}, "more": more}

    value = {"probe": "label_free", "metric": "rankme", **result(1.0), "random": result(0.4), "supervised": None}
    value |= {"chance": None, "train_samples": 0, "test_samples": 900, "fraction": 1.0, "labelled": "photos"}
    return write(folder, "label_free-0a1b2c3d", {**value, "gain": {"value": 24.0, "interval": None}})


def add_qualitative(folder: Path, *, points: int = 60, tile: int = 32) -> Path:
    """Sheets of noise with an index as `selftaught.evaluation.visualise` describes it."""
    stem = "qualitative-0a1b2c3d"
    rng = np.random.default_rng(0)

    def sheet(at: Path, name: str, columns: int, count: int) -> Json:
        rows = -(-count // columns)
        side = tile + 2
        picture(at / name, count, (columns * side - 2, rows * side - 2))
        return {"file": name, "caption": f"{name}.", "tile": tile, "gap": 2, "columns": columns, "count": count}

    for who in ("encoder", "random"):
        at = folder / "evaluations" / stem / who
        labels = [("dog", "cat", None)[i % 3] for i in range(points)]
        keys = [f"folder/{i}.png" for i in range(points)]
        stages = [
            {
                "stage": stage,
                "channels": [3, 11],
                "field": [7 + 20 * n, 7 + 20 * n],
                "filters": sheet(at, f"filters-{n}.png", 2, 2),
                "patches": sheet(at, f"patches-{n}.png", 5, 10),
            }
            for n, stage in enumerate(("conv1", "layer4"))
        ]
        attention = {**sheet(at, "attention.png", 3, 9), "heads": ["image", "conv1", "layer4"], "keys": keys[:3]}
        places = {"x": rng.random(points).tolist(), "y": rng.random(points).tolist(), "keys": keys, "labels": labels}
        data_map = {**sheet(at, "map.jpg", 10, points), "method": "tsne", "neighbours": 30, "kept": 61.2, **places}
        index = {"format": 1, "encoder": "resnet18", "size": 64, "pictures": points, "seed": 0, "map": data_map}
        index |= {"kernels": sheet(at, "kernels.png", 8, 16), "attention": attention, "stages": stages}
        (at / "index.json").write_text(json.dumps(index))
    value: Json = {"probe": "qualitative", "metric": "pictures", "value": None, "stage": "", "stages": {}, "more": {}}
    value |= {"random": {"value": None, "stage": "", "stages": {}, "more": {}}, "supervised": None, "chance": None}
    value |= {"train_samples": 0, "test_samples": points, "fraction": 1.0, "labelled": "photos"}
    return write(folder, stem, {**value, "files": {who: f"{stem}/{who}" for who in ("encoder", "random")}})


def add_all(folder: Path) -> Path:
    """Every protocol there is."""
    for add in (add_finetune, add_retrieval, add_detection, add_segmentation, add_label_free, add_qualitative):
        add(folder)
    return folder


def agreement() -> Json:
    """What `selftaught.evaluation.rank_agreement` says of four runs."""
    row = {"better": "higher", "runs": 4, "interval": None, "p_kendall": 0.08, "verdict": "cannot tell"}
    rows = [{"figure": "rankme", "spearman": 0.8, "kendall": 0.667, "p": 0.33, "p_holm": 0.66, **row}]
    rows += [{"figure": "lidar", "spearman": -0.4, "kendall": -0.333, "p": 0.75, "p_holm": 0.75, **row}]
    points = [
        {"run": f"run{i}", "probe": 50.0 + i, "figures": {"rankme": 30.0 + i, "lidar": 9.0 - i}} for i in range(4)
    ]
    found = {"runs": 4, "note": "4 runs are too few to tell", "rows": rows, "points": points}
    return {**found, "probe": "linear", "metric": "top1", "labelled": "labelled", "unlabelled": "photos"}

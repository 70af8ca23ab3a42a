"""The probes that there are, by the source text of their files."""

from __future__ import annotations

import pytest

from selftaught.evaluation.probes.catalogue import FOLDER, list_probes, make_probe, probe_info
from selftaught.evaluation.probes.knn import KNearest


def test_every_file_that_holds_a_probe_is_listed() -> None:
    found = {info.name: info for info in list_probes()}
    assert set(found) == {path.stem for path in FOLDER.glob("*.py")} - {"__init__", "base", "catalogue"}
    assert list(found) == sorted(found)
    assert {name: info.needs for name, info in found.items()} == {
        **dict.fromkeys(("finetune", "knn", "linear", "mlp", "retrieval"), ("label",)),
        **{
            "svm": ("labels",),
            "detection": ("box",),
            "segmentation": ("mask",),
            "mask_propagation": ("mask",),
            "label_free": (),
            "qualitative": (),
            "depth": ("depth",),
            "contour": ("drawn",),
        },
        "mask_propagation": ("mask",),
        **dict.fromkeys(("action", "clip_retrieval"), ("label", "video")),
    }
    for info in found.values():
        assert info.summary.endswith(".")
        assert all(option.help for option in info.options)


def test_a_probe_gets_its_settings_and_its_seed() -> None:
    probe = make_probe("knn", {"k": "5"}, seed=7)
    assert isinstance(probe, KNearest)
    assert (probe.config.k, probe.seed) == (5, 7)
    assert make_probe("knn", {}, seed=0).config == KNearest.Config()


def test_wrong_names_and_settings_are_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^unknown probe 'liner'; did you mean linear"):
        probe_info("liner")
    with pytest.raises(ValueError, match=r"^--probe.k must be a whole number of at least 1, got 'many'$"):
        make_probe("knn", {"k": "many"}, seed=0)
    with pytest.raises(ValueError, match=r"^unknown setting of probe 'knn' 'kk'; did you mean k"):
        make_probe("knn", {"kk": 1}, seed=0)

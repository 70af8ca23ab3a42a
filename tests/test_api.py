"""The public functions: what the lists tell, and the packed stores as they are listed and removed."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import pytest

from selftaught import api


def test_lists_hold_plain_values_of_every_entry() -> None:
    tasks = {task["name"]: task for task in api.list_tasks()}
    assert tasks["rotation"]["paper"] == "Gidaris, Singh, Komodakis, ICLR 2018"
    assert tasks["rotation"]["needs"] == ["image"]
    encoders = {encoder["name"]: encoder for encoder in api.list_encoders()}
    assert encoders["resnet18"]["stages"] == ["conv1", "layer1", "layer2", "layer3", "layer4"]
    probes = {probe["name"]: probe for probe in api.list_probes()}
    assert probes["linear"]["needs"] == ["label"]
    assert probes["label_free"]["needs"] == []
    assert json.loads(json.dumps([tasks, encoders, probes])) == [tasks, encoders, probes]


def test_pretrain_lists_every_setting_in_its_docstring() -> None:
    text = inspect.getdoc(api.pretrain) or ""
    assert "\n    size = 96: a whole number in [8, 8192]." in text
    assert "\n    task = " not in text  # an argument of its own


@pytest.fixture
def stores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of two stores."""
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path))
    for key, built in (("aa11", 1.0), ("bb22", 2.0)):
        folder = tmp_path / "stores" / key
        folder.mkdir(parents=True)
        meta = {"kind": "images", "data": "photos", "samples": 3, "side": 64, "built": built}
        (folder / "meta.json").write_text(json.dumps(meta))
    return tmp_path / "stores"


def test_stores_are_listed_by_the_beginning_of_their_key(stores: Path) -> None:
    assert [store["key"] for store in api.cache()] == ["aa11", "bb22"]
    (found,) = api.cache(["bb"])
    assert found["path"] == str(stores / "bb22")
    assert (found["samples"], found["side"], found["removed"]) == (3, 64, False)
    assert [store["key"] for store in api.cache("aa,bb")] == ["aa11", "bb22"]


def test_only_the_stores_that_are_named_are_removed(stores: Path) -> None:
    assert [store["removed"] for store in api.cache(["aa"], clear=True)] == [True]
    assert [folder.name for folder in stores.iterdir()] == ["bb22"]
    with pytest.raises(ValueError, match=r"^no packed store 'aa'; known: bb22$"):
        api.cache(["aa"], clear=True)
    with pytest.raises(ValueError, match=r"^--prune chooses the stores itself; leave out --clear and the keys$"):
        api.cache(["bb"], prune=True)

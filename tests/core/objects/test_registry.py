"""Names of Python objects."""

from __future__ import annotations

from selftaught.core.objects.registry import is_object, name_of, object_of


class Thing:
    pass


def test_an_object_keeps_its_name_and_another_of_its_class_has_a_number() -> None:
    first, second = Thing(), Thing()
    names = [name_of("dataset", one) for one in (first, second, first)]
    assert names == ["dataset:Thing", "dataset:Thing-2", "dataset:Thing"]
    assert object_of(names[1]) is second
    assert object_of("dataset:Nothing") is None


def test_a_module_takes_the_place_of_one_of_its_class() -> None:
    first, second = Thing(), Thing()
    assert name_of("module", first) == name_of("module", second) == "module:Thing"
    assert object_of("module:Thing") is second
    assert is_object("module:Thing", "module")
    assert not is_object("resnet18", "module")

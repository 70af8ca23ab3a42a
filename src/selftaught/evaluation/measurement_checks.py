"""What is wrong with a measurement as it was asked for, said before data are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from selftaught.data.modality import WORDS
from selftaught.encoders.names import Kind, channels_of, clip_name
from selftaught.evaluation.probes.base import Probe
from selftaught.evaluation.probes.catalogue import make_probe, probe_info

MOST_DRAWS = 1000
"""Of each share of the labels."""


def check_measurement(
    probe: str,
    settings: dict[str, Any] | None,
    seed: int,
    fractions: Sequence[float],
    *,
    draws: int = 1,
    limit: int | None = None,
    supervised: bool = False,
    skip_broken: bool = False,
) -> Probe:
    """The probe; refuses what cannot be measured."""
    if seed < 0:
        raise ValueError(f"--seed must be at least 0, got {seed}")
    made = make_probe(probe, settings or {}, seed=seed)
    for fraction in fractions:
        if not 0 < fraction <= 1:
            raise ValueError(f"--fraction must be in (0, 1], got {fraction}")
    if not fractions:
        raise ValueError("--fraction must name at least one share of the labels")
    if limit is not None and limit < 1:
        raise ValueError(f"--limit must be at least 1, got {limit}")
    if not 1 <= draws <= MOST_DRAWS:
        raise ValueError(f"--draws must be in [1, {MOST_DRAWS}], got {draws}")
    if not made.data.learns and (tuple(fractions) != (1.0,) or draws > 1):
        raise ValueError(f"--fraction and --draws are for probes that learn from labels; {probe} does not")
    if not made.data.learns and limit is not None:
        raise ValueError(f"--limit is for probes that learn from training samples; {probe} does not")
    if supervised and made.data.learns and not made.data.has_classes:
        raise ValueError(f"--supervised trains on class labels, but {probe} reads {_needs_of(probe)}; leave it out")
    if skip_broken and not made.data.skips_broken:
        raise ValueError("--skip-broken is for data with boxes or masks; other images are skipped without asking")
    return made


def check_kind(name: str, probe: Probe, encoder: str, kind: Kind) -> None:
    """Refuse an encoder that the probe cannot measure."""
    if kind not in probe.kinds:
        measured = " and ".join(word for one, word in WORDS.items() if one in probe.kinds)
        raise ValueError(
            f"--probe {name} measures encoders of {measured}, but {encoder} takes {WORDS[kind]}; choose another probe, "
            f"such as linear{_or_its_image_network(encoder) if 'image' in probe.kinds else ''}"
        )


def _or_its_image_network(encoder: str) -> str:
    """For an encoder of clips with a network of colour images inside."""
    inside = clip_name(encoder)
    if inside is None or channels_of(inside.parts["image"]) is not None:
        return ""
    return ", or measure the image network inside with 'selftaught evaluate --part image'"


def _needs_of(probe: str) -> str:
    """What a probe needs of the data, in words."""
    return " and ".join(WORDS[word] for word in probe_info(probe).needs)


def folds_of(name: str, probe: Probe, test_share: float | None, folds: int | None) -> int | None:
    """The folds asked for, 1 for probes that take long; refuses what cannot be."""
    if test_share is not None and not 0 < test_share < 1:
        raise ValueError(f"--test-share must be in (0, 1), got {test_share}")
    if folds is not None and folds < 1:
        raise ValueError(f"--folds must be at least 1, got {folds}; 1 tests on one part")
    if folds is not None and folds > 1 and test_share is not None:
        raise ValueError("--folds and --test-share both say what is tested; give one of them")
    for flag, value in (("test-share", test_share), ("folds", folds)):
        if value is not None and not probe.data.has_classes:
            raise ValueError(f"--{flag} is for probes that learn from class labels; {name} does not")
    is_fast = probe.folds_few and not probe.trains_encoder
    return 1 if folds is None and not is_fast else folds

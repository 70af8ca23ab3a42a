"""An image or a video to look for the like of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from selftaught.core.settings.groups import DataSettings
from selftaught.encoders.build import build_encoder
from selftaught.evaluation.embed import features_of
from selftaught.evaluation.query import check_query, query_vector

READING = DataSettings(path="d")
SEEN: Any = {"size": 32, "precision": "auto"}


TEXTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def clip() -> Any:
    """Nine frames of 48 x 48, all grey but the middle one, which has a bright half."""
    frames = np.full((9, 48, 48, 3), 60, dtype=np.uint8)
    frames[4, :, 24:] = 230
    return frames


@torch.no_grad()
def test_a_image_encoder_sees_the_middle_frame_of_a_video(
    tmp_path: Path, write_video: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    path = write_video(tmp_path / "a.mp4", clip(), gop=1)
    for number in (0, 4):
        Image.fromarray(clip()[number]).save(tmp_path / f"{number}.png")
    encoder = build_encoder("resnet18", size=32).eval()
    check_query(path, encoder, READING)
    asked, first, middle = (
        query_vector(p, encoder, READING, **SEEN) for p in (path, tmp_path / "0.png", tmp_path / "4.png")
    )
    assert asked.shape == (1, 512)
    assert (asked - middle).norm() < 0.2 * (asked - first).norm()


@torch.no_grad()
def test_a_clip_encoder_sees_a_clip_and_refuses_a_image(
    tmp_path: Path, write_video: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    path = write_video(tmp_path / "a.mp4", np.repeat(clip(), 4, axis=0))
    encoder = build_encoder("r3d_18", size=32).eval()
    check_query(path, encoder, READING)
    assert query_vector(path, encoder, READING, **SEEN).shape == (1, 512)
    Image.fromarray(clip()[4]).save(tmp_path / "a.png")
    with pytest.raises(
        ValueError, match=r"--query .*a.png is an image, but r3d_18 takes clips; give a video or a folder"
    ):
        check_query(tmp_path / "a.png", encoder, READING)


@torch.no_grad()
def test_a_folder_of_frames_is_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    for video in range(2):
        (tmp_path / "data" / f"v{video}").mkdir(parents=True)
        for number, frame in enumerate(np.roll(clip(), video, axis=0)):
            Image.fromarray(frame).save(tmp_path / "data" / f"v{video}" / f"frame_{number:03d}.png")
    clips, images = (build_encoder(f"{name}timm:test_resnet", size=32).eval() for name in ("mean:", ""))
    clips.clip_seen = {"frames": 3}
    found = features_of(clips, DataSettings(path=str(tmp_path / "data")), split="all", **SEEN)
    for key, vector in zip(found.keys, found.vectors, strict=True):
        check_query(tmp_path / "data" / key, clips, READING)
        assert torch.allclose(
            query_vector(tmp_path / "data" / key, clips, READING, **SEEN)[0], vector.float(), atol=1e-5
        )
    middle = query_vector(tmp_path / "data" / "v0" / "frame_004.png", images, READING, **SEEN)
    asked = query_vector(tmp_path / "data" / "v0", images, READING, **SEEN)
    assert (asked - middle).norm() < 0.05 * middle.norm(), "the image is scaled before it is cut"
    with pytest.raises(ValueError, match=r"^--query .*data is a folder without numbered images; give a video, or"):
        check_query(tmp_path / "data", clips, READING)


@torch.no_grad()
def test_the_vector_of_a_query_is_the_one_it_has_among_the_data(
    tmp_path: Path, write_video: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where a clip is a small part of the video."""
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    levels = np.linspace(40, 220, 24).astype(np.uint8)[:, None, None, None]
    for name in ("a", "b", "c"):
        write_video(tmp_path / "data" / f"{name}.mp4", np.roll(np.broadcast_to(levels, (24, 48, 48, 3)), ord(name), 0))
    encoder = build_encoder("mean:timm:test_resnet", size=32).eval()
    encoder.clip_seen = {"frames": 3}
    found = features_of(encoder, DataSettings(path=str(tmp_path / "data")), split="all", **SEEN)
    for key, vector in zip(found.keys, found.vectors, strict=True):
        asked = query_vector(tmp_path / "data" / key, encoder, READING, **SEEN)[0]
        assert torch.allclose(asked, vector.float(), atol=1e-5)


@torch.no_grad()
def test_an_animation_is_a_clip_for_a_clip_encoder_and_must_be_long_enough(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    frames = [Image.fromarray(np.roll(TEXTURE, number, axis=1)) for number in range(20)]
    encoder = build_encoder("mean:timm:test_resnet", size=32).eval()
    for count in (1, len(frames)):
        frames[0].save(tmp_path / f"{count}.gif", save_all=True, append_images=frames[1:count], duration=40)
        check_query(tmp_path / f"{count}.gif", encoder, READING)
    found = query_vector(tmp_path / f"{len(frames)}.gif", encoder, READING, **SEEN)
    assert found.shape == (1, encoder.num_features)
    with pytest.raises(ValueError, match=r"^--query .*1\.gif cannot be used: 1 frame, fewer than the \d+ of a clip$"):
        query_vector(tmp_path / "1.gif", encoder, READING, **SEEN)


@pytest.mark.parametrize("name", ["broken.mp4", "broken.png"])
def test_a_query_that_cannot_be_read_is_said_in_one_sentence(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"nothing of the kind")
    with pytest.raises(ValueError, match=f"--query .*{name} cannot be read"):
        check_query(tmp_path / name, build_encoder("resnet18", size=32), READING)
    with pytest.raises(ValueError, match=r"--query .*gone.mp4 cannot be read: No such file"):
        check_query(tmp_path / "gone.mp4", build_encoder("resnet18", size=32), READING)

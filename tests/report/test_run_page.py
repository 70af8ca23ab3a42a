"""The page of one run."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.report import write_report
from tests.report.read_page import MEGABYTE, Folder, Page, changed


def test_every_part_of_a_complete_run_is_there(tmp_path: Path, run_folder: Folder) -> None:
    page = Page(write_report(run_folder(tmp_path / "run")))
    assert page.headings[1:] == [
        "What the features are worth", "What the task sees", "Learning curves", "Quality without labels",
        "Nearest neighbours", "First-layer kernels", "Skipped files", "To repeat it",
    ]  # fmt: skip
    titles = [figure["layout"]["xaxis"]["title"]["text"] for figure in page.figures]
    assert titles == ["stage"] + 7 * ["step"]
    assert sum(address.startswith("data:image/") for address in page.addresses) == 8 + 8 * 6 + 1
    for text in ("selftaught pretrain 'photos/", "task.angles", "2.11.0", "odd, name.png", "0.97"):
        assert text in page.text


def test_parts_that_are_missing_say_which_command_adds_them(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"task": "simclr", "encoder": "resnet18"}')
    page = Page(write_report(tmp_path))
    assert page.headings[0] == "simclr has not been looked at on held-out data yet."
    assert f"selftaught evaluate {tmp_path} LABELLED" in page.text
    assert "images here yet" in page.text
    assert "Go on with --resume" in page.text
    assert not page.figures
    assert not any(len(script) > MEGABYTE for script in page.scripts), "no plot, no Plotly"


def test_a_collapse_warning_is_shown_at_the_top_and_beside_its_curves(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    changed(run / "summary.json", warnings=["features have collapsed: effective rank 1.0; lower --lr"])
    assert Page(write_report(run)).text.count("features have collapsed") == 2


def test_updated_pseudo_labels_have_their_curves(tmp_path: Path, run_folder: Folder) -> None:
    folder = run_folder(tmp_path / "run", task="clustering")
    (folder / "refresh.csv").write_text("step,clusters,nmi_before\n1,100,0.0\n401,98,0.41\n")
    html = write_report(folder).read_text(encoding="utf-8")
    assert "NMI before" in html
    assert "1 when nothing changes any more" in html
    assert '"y":[100.0,98.0]' in html


def test_neighbours_have_file_names_and_a_player(tmp_path: Path, run_folder: Folder) -> None:
    folder = run_folder(tmp_path / "run")
    pictures = folder / "pictures"
    listed = json.loads((pictures / "pictures.json").read_text())
    query = listed["neighbours"][0]["query"]
    (pictures / "a.wav").write_bytes(b"RIFF-a-sound")
    (pictures / "b.wav").write_bytes(bytes(200_000))  # too long for a page
    near = listed["neighbours"][0]["neighbours"][0]["picture"]
    listed["about"] = {query: {"name": "<dog>.mp4", "sound": "a.wav"}, near: {"sound": "b.wav"}, "gone.png": 3}
    (pictures / "pictures.json").write_text(json.dumps(listed))
    page = write_report(folder).read_text()
    assert '<span class="file">&lt;dog&gt;.mp4</span>' in page
    sound = base64.b64encode(b"RIFF-a-sound").decode()
    assert page.count('class="play"') == page.count(f'data-sound="data:audio/wav;base64,{sound}"') >= 1
    assert "media-src data:" in page


def test_a_broken_image_is_left_out(tmp_path: Path, run_folder: Folder) -> None:
    run = run_folder(tmp_path / "run")
    (run / "pictures" / "kernels.png").write_bytes(b"\x89PNG\r\n\x1a\nnot an image")
    (run / "pictures" / "s0.png").unlink()
    page = Page(write_report(run))
    assert "First-layer kernels" not in page.headings
    assert page.text.count("pseudo-label") == 7


def noise_clip(path: Path, *, frames: int, side: int, seed: int) -> str:
    rng = np.random.default_rng(seed)
    shown = [Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)) for _ in range(frames)]
    shown[0].save(path, "WEBP", save_all=True, append_images=shown[1:], duration=125, quality=85, method=0)
    return path.name


@pytest.mark.slow  # encodes 88 clips of noise several times
def test_the_page_of_a_run_whose_clips_are_noise_stays_small_and_its_clips_move(
    tmp_path: Path, run_folder: Folder
) -> None:
    folder = run_folder(tmp_path / "run")
    pictures = folder / "pictures"
    names = [noise_clip(pictures / f"noise{i}.webp", frames=32, side=96, seed=i) for i in range(4)]
    listed = json.loads((pictures / "pictures.json").read_text())
    listed["samples"] = [{"inputs": names[:2], "pseudo_label": names[2], "prediction": names[3]}] * 8
    near = [{"picture": name, "similarity": 0.5} for name in (names * 2)[:6]]
    listed["neighbours"] = [{"query": names[0], "neighbours": near}] * 8
    (pictures / "pictures.json").write_text(json.dumps(listed))
    page = write_report(folder)
    html = page.read_text(encoding="utf-8")
    assert page.stat().st_size < 15e6
    assert html.count("data-clip=") == 8 * (4 + 7)
    assert "clips of all" not in html


def test_frames_side_by_side_have_a_wide_card(tmp_path: Path, run_folder: Folder) -> None:
    folder = run_folder(tmp_path / "run")
    Image.new("RGB", (900, 100)).save(folder / "pictures" / "strip.png")
    listed = json.loads((folder / "pictures" / "pictures.json").read_text())
    listed["samples"] = [{"inputs": ["strip.png"], "pseudo_label": "order 2 1 3", "prediction": "strip.png"}]
    (folder / "pictures" / "pictures.json").write_text(json.dumps(listed))
    html = write_report(folder).read_text(encoding="utf-8")
    assert html.count('class="sample  wide"') == 1
    assert html.count('<img class="strip"') == 2
    assert 'width="720" height="80"' in html, "no smaller than a drawing"


def test_weights_that_were_evaluated_have_a_page_without_training(tmp_path: Path, run_folder: Folder) -> None:
    evaluations = run_folder(tmp_path / "run") / "evaluations"
    folder = tmp_path / "w-evaluated"
    folder.mkdir()
    evaluations.rename(folder / "evaluations")
    page = Page(write_report(folder))
    assert page.headings[0].startswith("The features of these weights are ")
    assert page.headings[1:] == ["What the features are worth"]
    assert "--resume" not in page.text
    assert "given weights" in Page(write_report(tmp_path)).text

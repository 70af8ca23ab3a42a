"""Wrong arguments of every verb: one sentence, exit 2, and nothing is written anywhere."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from selftaught.cli import main as cli
from selftaught.core.config import RunConfig
from selftaught.training.train import train
from tests.own_task import BRIGHT, line_of

PRETRAIN = "pretrain photos --out new --size 32 --batch-size 4 --steps 1 --accelerator cpu --encoder timm:test_resnet"
COMPARE = "compare photos --out new --size 32 --batch-size 4 --steps 1 --accelerator cpu --encoder timm:test_resnet"

MISTAKES = {
    "syntax": ("def pseudo_label(self, batch, rng):", "def pseudo_label(self, batch, rng)"),
    "two": ("class Bright", "class Other(PretextTask):\n    pass\nclass Bright"),
    "no_base": ("(PretextTask)", "(nn.Module)"),
    "rotation": ("", ""),
    "own": ("", ""),
    "no_loss": ("def loss", "def losses"),
    "bad_import": ("import Tensor, nn", "import Tensors, nn"),
    "bad_name": ("encoder.num_features", "encoder.num_feature"),
    "no_super": ("super().__init__()", "pass"),
}  # fmt: skip
"""What is wrong with each file in tasks/."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A working folder with labelled photos, photos without labels, a run of each kind of data, and a cache."""
    folder = tmp_path_factory.mktemp("place")
    rng = np.random.default_rng(0)
    for number in range(16):
        path = folder / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(path)
        plain = folder / "plain" / f"{number}.png"
        plain.parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (40, 40, 3), dtype=np.uint8)).save(plain)
    for name, text in {"afile": "text", "broken.png": "no image", "taken.csv": "mine"}.items():
        (folder / name).write_text(text)
    (folder / "empty").mkdir()
    (folder / "tasks").mkdir()
    (folder / "own.py").write_text(BRIGHT)
    for name, (text, mistake) in MISTAKES.items():
        (folder / "tasks" / f"{name}.py").write_text(BRIGHT.replace(text, mistake, 1) if text else BRIGHT)
    (folder / "page.html").write_text("a page of mine")
    (folder / "weights.safetensors").write_bytes(b"\x08")
    (folder / "others").mkdir()
    (folder / "others" / "letter.txt").write_text("mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SELFTAUGHT_CACHE", str(folder / "cache"))
        common = {"task": "rotation", "encoder": "timm:test_resnet", "size": 32, "batch_size": 4, "steps": 1}
        for out in ("run", "second"):
            train(RunConfig.of(data="photos", out=out, accelerator="cpu", **common))  # type: ignore[arg-type]
        yield folder


def listing(folder: Path) -> dict[str, tuple[int, int]]:
    """Size and time of change of all there is."""
    found = {}
    for path in sorted(folder.rglob("*")):
        state = path.lstat()
        found[path.relative_to(folder).as_posix()] = (0 if path.is_dir() else state.st_size, state.st_mtime_ns)
    return found


CASES = (
    # pretrain: lengths, sizes and other numbers
    (f"{PRETRAIN} --size 100000", "--size"),
    (f"{PRETRAIN} --size -32", "--size"),
    (f"{PRETRAIN} --size 32.5", "--size"),
    (f"{PRETRAIN} --size nan", "--size"),
    (f"{PRETRAIN} --size ''", "--size"),
    (f"{PRETRAIN} --size {10**30}", "--size"),
    (f"{PRETRAIN} --batch-size {10**12}", "--batch-size"),
    (f"{PRETRAIN} --batch-size 1", "--batch-size"),
    (f"{PRETRAIN} --batch-size -4", "--batch-size"),
    (f"{PRETRAIN} --steps {10**30}", "--steps"),
    (f"{PRETRAIN} --steps 0", "--steps"),
    (f"{PRETRAIN} --steps 1e3", "--steps"),
    (f"{PRETRAIN} --epochs 1", "--epochs and --steps"),
    (f"{PRETRAIN} --budget 5s", "--steps and --budget"),
    ("pretrain photos --out new --epochs inf", "--epochs"),
    ("pretrain photos --out new --epochs nan", "--epochs"),
    ("pretrain photos --out new --epochs 1e300", "--epochs"),
    ("pretrain photos --out new --budget 0s", "--budget"),
    ("pretrain photos --out new --budget -5m", "--budget"),
    ("pretrain photos --out new --budget nan", "--budget"),
    ("pretrain photos --out new --budget infs", "--budget"),
    ("pretrain photos --out new --budget ''", "--budget"),
    ("pretrain photos --out new --budget soon", "--budget"),
    (f"{PRETRAIN} --lr 0", "--lr"),
    (f"{PRETRAIN} --lr inf", "--lr"),
    (f"{PRETRAIN} --weight-decay -1", "--weight-decay"),
    (f"{PRETRAIN} --warmup 1", "--warmup"),
    (f"{PRETRAIN} --clip 0", "--clip"),
    (f"{PRETRAIN} --accumulate 3", "--batch-size"),
    (f"{PRETRAIN} --devices 0", "--devices"),
    (f"{PRETRAIN} --devices 3", "--batch-size"),
    (f"{PRETRAIN} --num-nodes 0", "--num-nodes"),
    (f"{PRETRAIN} --seed -1", "--seed"),
    (f"{PRETRAIN} --seed {10**40}", "--seed"),
    (f"{PRETRAIN} --limit 1", "--limit"),
    (f"{PRETRAIN} --held-out 1", "--held-out"),
    (f"{PRETRAIN} --held-out -0.1", "--held-out"),
    (f"{PRETRAIN} --workers 0", "--workers"),
    (f"{PRETRAIN} --workers {10**9}", "--workers"),
    (f"{PRETRAIN} --store-size 1", "--store-size"),
    (f"{PRETRAIN} --store-size {10**9}", "--store-size"),
    (f"{PRETRAIN} --cache-limit 0", "--cache-limit"),
    (f"{PRETRAIN} --max-image-pixels 0", "--max-image-pixels"),
    (f"{PRETRAIN} --log-every 0", "--log-every"),
    (f"{PRETRAIN} --evaluate-every 0", "--evaluate-every"),
    (f"{PRETRAIN} --checkpoint-every 0", "--checkpoint-every"),
    (f"{PRETRAIN} --value-range 9,3", "--value-range"),
    (f"{PRETRAIN} --value-range black", "--value-range"),
    # pretrain: names
    (f"{PRETRAIN} --task nosuch", "unknown task 'nosuch'"),
    (f"{PRETRAIN} --task ''", "unknown task ''"),
    (f"{PRETRAIN} --task nosuch.py", "nosuch.py"),
    # a task in a file of one's own
    (f"{PRETRAIN} --task own", "give --task ./own.py"),
    (f"{PRETRAIN} --task ./own.py --task.shar 0.5", "did you mean --task.share?"),
    (f"{PRETRAIN} --task tasks/syntax.py", f"line {line_of('def pseudo_label')}: expected ':'"),
    (f"{PRETRAIN} --task tasks/two.py", "got 2: Other, Bright"),
    (f"{PRETRAIN} --task tasks/no_base.py", "write the class as class MyTask(PretextTask)"),
    (f"{PRETRAIN} --task tasks/rotation.py", "rotation is the name of a built-in task; rename the file"),
    (f"{PRETRAIN} --task tasks/no_loss.py", "class Bright must define loss"),
    (
        f"{PRETRAIN} --task tasks/bad_import.py",
        f"bad_import.py:{line_of('import Tensor')}: ImportError: cannot import name 'Tensors'",
    ),
    (f"{PRETRAIN} --task tasks/bad_name.py", "__init__ fails at"),
    (f"{PRETRAIN} --task tasks/no_super.py", "cannot assign module before Module.__init__() call"),
    (f"{COMPARE} --tasks own.py,tasks/own.py", "would be the same: own, own; rename a file"),
    (f"{PRETRAIN} --task rotation+", "--task"),
    (f"{PRETRAIN} --task rotation+rotation", "rotation"),
    (f"{PRETRAIN} --task rotation --task.angles 3", "--task.angles"),
    (f"{PRETRAIN} --task simclr --task.temperature nan", "--task.temperature"),
    (f"{PRETRAIN} --encoder resnet19", "resnet19"),
    (f"{PRETRAIN} --encoder timm:nosuch", "nosuch"),
    (f"{PRETRAIN} --encoder r3d_18", "r3d_18"),
    (f"{PRETRAIN} --encoder ''", "--encoder"),
    (f"{PRETRAIN} --stem tiny", "--stem"),
    (f"{PRETRAIN} --encoder vit_b_16 --size 50", "50"),
    (f"{PRETRAIN} --optimizer adam", "--optimizer"),
    (f"{PRETRAIN} --precision 64", "--precision"),
    (f"{PRETRAIN} --accelerator tpu", "--accelerator"),
    (f"{PRETRAIN} --strategy fsdp", "--strategy"),
    (f"{PRETRAIN} --resume=yes", "--resume"),
    # pretrain: places
    ("pretrain nosuch --out new", "nosuch"),
    ("pretrain '' --out new", "DATA"),
    ("pretrain photos --out ''", "--out"),
    ("pretrain photos", "--out"),
    ("pretrain empty --out new", "empty"),
    ("pretrain afile --out new", "afile"),
    ("pretrain hf: --out new", "hf:"),
    ("pretrain photos --out afile", "--out afile"),
    ("pretrain photos --out afile/run", "--out afile/run"),
    ("pretrain photos --out run", "--overwrite"),
    ("pretrain photos --out others", "--out others"),
    ("pretrain photos --out others --overwrite", "--out others"),
    (f"{PRETRAIN.replace('new', 'run')} --resume", "--resume"),
    # evaluate
    ("evaluate nosuch photos", "nosuch"),
    ("evaluate others photos", "others"),
    ("evaluate run nosuch", "nosuch"),
    ("evaluate run plain", "labels are needed"),
    ("evaluate run photos --probe nosuch", "unknown probe 'nosuch'"),
    ("evaluate run photos --probe knn --probe.k 0", "k"),
    ("evaluate run photos --probe knn --probe.k many", "--probe.k"),
    ("evaluate run photos --probe knn --probe.nosuch 3", "--probe.nosuch"),
    ("evaluate run photos --probe detection", "box"),
    ("evaluate run photos --fraction 2", "--fraction"),
    ("evaluate run photos --fraction 0", "--fraction"),
    ("evaluate run photos --fraction nan", "--fraction"),
    ("evaluate run photos --fraction 0.5,,1", "--fraction"),
    ("evaluate run photos --draws 0", "--draws"),
    ("evaluate run photos --limit 0", "--limit"),
    ("evaluate run photos --folds 0", "--folds"),
    ("evaluate run photos --test-share 1", "--test-share"),
    ("evaluate run photos --probe label_free --fraction 0.5", "--fraction"),
    ("evaluate run photos --part nose", "nose"),
    ("evaluate run photos --checkpoint first", "--checkpoint"),
    ("evaluate run photos --size 64", "--size"),
    ("evaluate run photos --seed -1", "--seed"),
    ("evaluate run photos --accelerator tpu", "--accelerator"),
    ("evaluate run photos --skip-broken", "--skip-broken"),
    ("evaluate run photos --out afile", "--out afile"),
    ("evaluate resnet18:nosuch.pth photos", "nosuch.pth"),
    ("evaluate resnet18:weights.safetensors photos", "weights.safetensors"),
    ("evaluate nosuch:weights.safetensors photos", "nosuch"),
    # compare
    (f"{COMPARE} --tasks rotation --labelled nosuch", "nosuch"),
    (f"{COMPARE} --tasks rotation --labelled plain", "labels are needed"),
    (f"{COMPARE} --tasks rotation --labelled photos --probe detection", "box"),
    (f"{COMPARE} --tasks rotation --labelled photos --probe label_free", "label_free"),
    (f"{COMPARE} --tasks rotation --labelled photos --probe knn --probe.k 0", "k"),
    (f"{COMPARE} --tasks rotation --labelled photos --fraction 2", "--fraction"),
    (f"{COMPARE} --tasks rotation --supervised", "--labelled"),
    (f"{COMPARE} --tasks rotation,rotation", "twice"),
    (f"{COMPARE} --tasks ''", "unknown task ''"),
    (f"{COMPARE} --tasks rotation,nosuch", "unknown task 'nosuch'"),
    (f"{COMPARE} --tasks rotation,shuffle_and_learn", "shuffle_and_learn"),
    (f"{COMPARE} --tasks rotation --encoder nosuch", "nosuch"),
    (f"{COMPARE} --tasks rotation --size 100000", "--size"),
    (COMPARE, "--tasks"),
    ("compare photos --tasks rotation --out afile", "--out afile"),
    ("compare photos --tasks rotation --out run", "--out run"),
    ("compare photos --tasks rotation --out others", "--out others"),
    # embed and search
    ("embed run photos --out vectors.txt", "--out vectors.txt"),
    ("embed run photos --out others", "--out others"),
    ("embed run photos --out vectors --shard-size 0", "--shard-size"),
    ("embed run photos --out vectors --devices 0", "--devices"),
    ("embed run photos --out vectors --stream always", "--stream"),
    ("embed run photos --out vectors.csv --devices 2", "--out vectors.csv"),
    ("embed run photos --out taken.csv", "--overwrite"),
    ("embed run photos --out run", "--out run"),
    ("embed run photos --out afile/vectors.csv", "afile"),
    ("embed run photos --out ''", "--out"),
    ("embed others photos --out v.csv", "others"),
    ("embed run nosuch --out v.csv", "nosuch"),
    ("embed run photos --out v.csv --split validation", "--split"),
    ("embed run photos --out v.csv --part nose", "nose"),
    ("search run photos --query nosuch.png", "nosuch.png"),
    ("search run photos --query broken.png", "broken.png"),
    ("search run photos --query empty", "empty"),
    ("search run photos --query photos/a/0.png --top 0", "--top"),
    ("search run photos --query photos/a/0.png --top ten", "--top"),
    ("search run photos --query photos/a/0.png --out page.txt", "--out page.txt"),
    ("search run photos --query photos/a/0.png --out page.html", "--overwrite"),
    ("search run nosuch --query photos/a/0.png", "nosuch"),
    ("search nosuch photos --query photos/a/0.png", "nosuch"),
    # export, report, agreement, cache and the others
    ("export run --out weights.onx", "weights.onx"),
    ("export run --out weights.safetensors", "--overwrite"),
    ("export run --out new.pt --format onnx", "--out new.pt"),
    ("export run --out new.pt --part nose", "nose"),
    ("export others --out new.pt", "others"),
    ("report nosuch", "nosuch"),
    ("report others", "others"),
    ("report run --format pdf", "--format"),
    ("report run --out afile/page.html", "afile"),
    ("agreement nosuch", "nosuch"),
    ("agreement others", "others"),
    ("cache nosuch --clear", "nosuch"),
    ("cache --clear --prune", "--prune"),
    ("demo --out photos", "photos"),
    ("demo --out afile", "afile"),
    ("tasks all", "all"),
    ("encoders --kind video", "--kind"),
    ("probes --josn", "--json"),
    ("pretrian photos", "pretrain"),
)


@pytest.mark.parametrize(("words", "told"), CASES, ids=[words for words, _ in CASES])
def test_one_sentence_and_nothing_written(
    words: str, told: str, place: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = listing(place)
    code = cli.main(shlex.split(words))
    out, err = capfd.readouterr()
    assert code == 2, err
    assert out == ""
    assert err.startswith("selftaught: error: ")
    assert err.count("\n") == 1
    assert told in err
    assert listing(place) == before

"""What is published: a wheel that installs, and runs outside of this checkout."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow  # builds the package and makes an environment: seconds to a minute


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("build", reason="the package build is not installed")
    out = tmp_path_factory.mktemp("dist")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--sdist", "--outdir", str(out), str(ROOT)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and ("No matching distribution" in done.stdout + done.stderr):
        pytest.skip("the build backend cannot be installed here")
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    (found,) = out.glob("*.whl")
    return found


def test_it_holds_all_that_the_package_reads(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    package = ROOT / "src" / "selftaught"
    wanted = {path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert {f"selftaught/{path.relative_to(package).as_posix()}" for path in wanted} <= names
    assert not [name for name in names if not name.startswith(("selftaught/", "selftaught-"))]


def test_twine_accepts_it(wheel: Path) -> None:
    pytest.importorskip("twine")
    files = [str(path) for path in wheel.parent.iterdir()]
    done = subprocess.run([sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("PASSED") == 2


def test_it_runs_in_an_environment_of_its_own(wheel: Path, tmp_path: Path) -> None:
    """Its dependencies are those of this environment, by a path: torch alone would take minutes."""
    venv.create(tmp_path / "env", with_pip=True)
    python = tmp_path / "env" / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", wheel], check=True)
    (place,) = (tmp_path / "env").glob("lib/python*/site-packages")
    (place / "others.pth").write_text(sysconfig.get_path("purelib") + "\n")

    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "SELFTAUGHT_CACHE": str(tmp_path / "cache")}

    def output_of(*words: str | Path) -> str:
        done = subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def selftaught(*words: str) -> str:
        return output_of(tmp_path / "env" / "bin" / "selftaught", *words)

    assert "pretrain" in selftaught("--help")
    assert selftaught("--version").startswith("selftaught ")
    assert "rotation" in selftaught("tasks", "--json")
    assert str(place) in output_of(python, "-c", "import selftaught; print(selftaught.__file__)")
    words = "--task rotation --encoder timm:test_resnet --size 32 --steps 2 --batch-size 8 --out run --json"
    out = selftaught("pretrain", "synthetic:N=60,side=32", *words.split())
    assert '"steps": 2' in out
    assert selftaught("report", "run")
    assert (tmp_path / "run" / "report.html").stat().st_size > 10_000

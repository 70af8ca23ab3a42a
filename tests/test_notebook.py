"""The notebook of the docs runs from top to bottom, in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[1] / "docs" / "guides" / "first_features.ipynb"


@pytest.mark.slow  # starts a kernel and trains: about a minute
@pytest.mark.filterwarnings("ignore")  # of Jupyter's own code
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    monkeypatch.setenv("SELFTAUGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)
    nbclient.NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    texts = ["".join(out.get("text", "") for out in cell.get("outputs", []) if out.get("name") == "stdout")
             for cell in notebook.cells]  # fmt: skip
    assert any("chance 0.25" in text for text in texts)
    assert any("with random weights" in text for text in texts)
    assert (tmp_path / "map.html").stat().st_size > 20_000

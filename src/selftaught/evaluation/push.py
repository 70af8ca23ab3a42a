"""An encoder of a run to the Hugging Face hub: safetensors, config.json and a card with data, metrics and intervals."""

from __future__ import annotations

import json
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import huggingface_hub
from huggingface_hub.errors import LocalTokenNotFoundError

from selftaught.core.settings.groups import Stem
from selftaught.encoders.weights.hub import CARD, CONFIG, WEIGHTS, Pushed, endpoint, first_line
from selftaught.encoders.weights.load import stem_of
from selftaught.evaluation.export import export_encoder
from selftaught.evaluation.subject import Subject


def push_run(subject: Subject, name: str, *, card: str, private: bool = False) -> dict[str, Any]:
    """Write the encoder of a run to the repository OWNER/NAME, which is created where it is absent.

    `card` is its model card, in Markdown.

    Returns:
        "repository", its "url", the "files" and the "encoder".
    """
    with tempfile.TemporaryDirectory(prefix="selftaught-") as place:
        folder = Path(place)
        write_repository(subject, folder, card=card)
        url = upload(folder, name, private=private, message=f"{subject.encoder.name} by selftaught")
    return {
        "repository": name,
        "url": url,
        "files": [CARD, CONFIG, WEIGHTS],
        "encoder": subject.encoder.name,
    }


def upload(folder: Path, name: str, *, private: bool, message: str) -> str:
    """Write the files of a folder to the repository OWNER/NAME, which is created where it is absent; its address."""
    try:
        api = huggingface_hub.HfApi(endpoint=endpoint())
        url = api.create_repo(name, private=private, exist_ok=True)
        api.upload_folder(repo_id=name, folder_path=folder, commit_message=message)
    except LocalTokenNotFoundError:
        raise ValueError(
            f"{name} cannot be written to without a token; run `hf auth login`, or set the variable HF_TOKEN"
        ) from None
    except Exception as error:  # the hub's client passes on those of its HTTP library, such as of no network
        raise ValueError(f"{name} cannot be written to: {first_line(error)}") from error
    return str(url)


def write_repository(subject: Subject, folder: Path, *, card: str) -> None:
    """The files of the repository."""
    run = subject.run
    assert run is not None
    pushed = Pushed(
        encoder=subject.encoder.name,
        size=subject.network.size,
        stem=cast(Stem, stem_of(subject.encoder) or subject.network.stem),
        clip_seen=dict(subject.encoder.clip_seen),
        task=run.task,
        data=Path(run.data.path).name,  # where it is on the owner's machine is nobody's business
        version=version("selftaught"),
    )
    export_encoder(subject.encoder, folder / WEIGHTS, format="safetensors", size=pushed.size, headless=True)
    (folder / CONFIG).write_text(json.dumps(pushed.to_config(), indent=2) + "\n", encoding="utf-8")
    (folder / CARD).write_text(card, encoding="utf-8")

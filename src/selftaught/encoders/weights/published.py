"""Published weights of torchvision and timm as files on this machine, downloaded only where that is allowed."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.error import URLError
from urllib.parse import urlparse

import huggingface_hub
import torch
from huggingface_hub.errors import EntryNotFoundError, HfHubHTTPError, LocalEntryNotFoundError, OfflineModeIsEnabled

from selftaught.encoders.names import TIMM, clip_name, prefix_of

LIBRARIES = ("timm", "torchvision")


def is_published(text: str) -> bool:
    """Whether text is "timm" or "torchvision", alone or with a model behind a colon."""
    return text.partition(":")[0] in LIBRARIES


def published_file(text: str, encoder: str, *, download: bool) -> Path:
    """The file of published weights.

    Args:
        text: "timm" or "torchvision" for the weights of the encoder itself, or with a model, as in
            "torchvision:resnet50" or "timm:vit_small_patch16_224.dino"; the part after the dot chooses among weights.
        encoder: name of the encoder that they are for.
        download: whether the network may be used; otherwise the file must be in the cache of that library.

    Raises:
        ValueError: where there are none, or they are not on this machine and may not be or cannot be downloaded.
    """
    library, _, model = text.partition(":")
    bare = _bare(encoder)
    if not model and bare.startswith(TIMM) != (library == "timm"):
        own = "timm" if bare.startswith(TIMM) else "torchvision"
        raise ValueError(f"{library} has no weights of encoder '{encoder}', which is one of {own}; give {own}")
    model = model or bare.removeprefix(TIMM)
    return _of_timm(model, download=download) if library == "timm" else _of_torchvision(model, download=download)


def _bare(encoder: str) -> str:
    """The name of the network of images inside, without what it sees."""
    while (clip := clip_name(encoder)) or prefix_of(encoder):
        encoder = clip.inner if clip else encoder.removeprefix(prefix_of(encoder))
    return encoder


def _of_timm(model: str, *, download: bool) -> Path:
    from timm.models import get_pretrained_cfg

    try:
        found = get_pretrained_cfg(model)
    except RuntimeError as error:  # a tag that the model does not have
        raise ValueError(f"timm has no weights {model}: {str(error).splitlines()[0]}") from None
    repository, url = (getattr(found, "hf_hub_id", None), getattr(found, "url", None)) if found else (None, None)
    if repository:
        given = getattr(found, "hf_hub_filename", None)
        return _of_hub(repository, (given,) if given else ("model.safetensors", "pytorch_model.bin"), download=download)
    if url:
        return _of_url(url, download=download)
    raise ValueError(f"timm has no published weights of {model}; timm.list_pretrained() lists those it has")


def _of_hub(repository: str, names: tuple[str, ...], *, download: bool) -> Path:
    for name in names:
        try:
            return Path(huggingface_hub.hf_hub_download(repository, name, local_files_only=not download))
        except LocalEntryNotFoundError as error:
            if download:
                raise ValueError(f"{repository} cannot be downloaded: {_first_line(error)}") from None
        except EntryNotFoundError:
            continue
        except (HfHubHTTPError, OfflineModeIsEnabled, OSError) as error:
            raise ValueError(f"{repository} cannot be downloaded: {_first_line(error)}") from None
    if download:
        raise ValueError(f"{repository} has none of the files {', '.join(names)}; give another model")
    raise ValueError(_not_here(f"weights {repository} of the Hugging Face hub"))


def _of_torchvision(model: str, *, download: bool) -> Path:
    import torchvision

    try:
        weights = torchvision.models.get_model_weights(model)
    except ValueError:
        raise ValueError(f"torchvision has no published weights of {model!r}; give a file") from None
    return _of_url(weights.DEFAULT.url, download=download)


def _of_url(url: str, *, download: bool) -> Path:
    """In the cache of torch.hub, where torchvision and timm look too."""
    name = Path(urlparse(url).path).name
    path = Path(torch.hub.get_dir()) / "checkpoints" / name
    if path.is_file():
        return path
    if not download:
        raise ValueError(_not_here(f"published weights {name}"))
    digest = re.search(r"-([0-9a-f]{8,})\.", name)
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), digest[1] if digest else None, progress=False)
    except (URLError, OSError, RuntimeError) as error:
        raise ValueError(f"{url} cannot be downloaded: {_first_line(error)}") from None
    return path


def _not_here(what: str) -> str:
    return f"{what} are not on this machine; allow their download with --download"


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]

"""The verbs of vectors: write those of all samples, and find the samples most similar to one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from selftaught.core.objects.kinds import Data, File
from selftaught.core.plain import plain_arguments
from selftaught.core.settings.groups import Streaming

Json = dict[str, Any]
Checkpoint = Literal["last", "best"]


@plain_arguments
def embed(
    run: File,
    data: Data,
    *,
    out: File,
    split: Literal["all", "train", "held_out", "test"] = "all",
    shard_size: int | None = None,
    devices: int = 1,
    stream: Streaming = "auto",
    part: str | None = None,
    checkpoint: Checkpoint = "last",
    size: int | None = None,
    download: bool = False,
    overwrite: bool = False,
) -> Json:
    """Write the feature vector of every sample, with its path and label, to a file or a folder of Parquet files.

    Args:
        run: run folder, ENCODER:FILE, timm:MODEL, torchvision:MODEL or hf:OWNER/NAME.
        data: data to embed, in any format that pretrain reads.
        out: file to write; the extension sets the format: .parquet and .csv have the columns id, path, label and
            vector, .npz has the same as arrays, .npy only the vectors. A name without extension is a folder of Parquet
            files with the columns path, label and vector; a command that was killed goes on with the files that are
            left.
        split: split of the data to embed.
        shard_size: samples of each Parquet file of a folder (default 10240).
        devices: number of GPUs (or CPU processes) that write a folder together; with torchrun or srun leave it out.
        stream: read tar shards in order, with one Parquet file for each, instead of packing them; auto does so for
            shards that are remote, compressed or larger than --cache-limit when packed. They have no labels then.
        part: one of the run's encoders, such as audio_encoder, or image inside lstm:resnet18 (default: the kept one).
        checkpoint: the last checkpoint, or the best one by the held-out pretext metric.
        size: image size in pixels, only for given weights (default 224); a run uses its own.
        download: allow torchvision and Hugging Face data sets, and published weights, to be downloaded.
        overwrite: replace an existing file or folder of vectors.
    """
    if str(out) and (Path(out).is_dir() or not Path(out).suffix):
        from selftaught.evaluation.vectors.write import Order, embed_folder

        asked: Json = {"split": split, "shard_size": shard_size, "stream": stream}
        chosen: Json = {"part": part, "checkpoint": checkpoint, "size": size, "download": download}
        order = Order(run=str(run), data=str(data), out=str(out), **asked, **chosen)
        return embed_folder(order, devices=devices, overwrite=overwrite)
    from selftaught.core.errors import launched
    from selftaught.evaluation.embed import check_file, embed_data
    from selftaught.evaluation.subject import open_subject

    path = check_file(out, overwrite=overwrite)
    started = launched()
    several = devices > 1 or (started is not None and started.world > 1)
    for flag, is_given in (("shard-size", shard_size is not None), ("devices", several), ("stream", stream != "auto")):
        if is_given:
            what = "several processes write" if flag == "devices" else f"--{flag} is for"
            raise ValueError(f"{what} a folder of Parquet files, got --out {out}; give a name without extension")
    subject = open_subject(run, part=part, checkpoint=checkpoint, size=size, download=download)
    return embed_data(subject, str(data), path, split=split, download=download)


@plain_arguments
def search(
    run: File,
    data: Data,
    *,
    query: File,
    top: int = 10,
    exact: bool = False,
    out: File | None = None,
    part: str | None = None,
    size: int | None = None,
    download: bool = False,
    overwrite: bool = False,
) -> list[Json]:
    """Find the images, videos or sounds most similar to a query, which itself is left out.

    Args:
        run: run folder, ENCODER:FILE, timm:MODEL, torchvision:MODEL or hf:OWNER/NAME.
        data: data to search, in any format that pretrain reads, which are embedded at the first search and kept in the
            folder of the run; or a folder written by embed with the same weights.
        query: image, video, folder of numbered frames or sound to find similar samples for; image encoders use the
            middle frame of a video. A sound finds images and videos by runs of audio_visual_sync and audio_visual.
        top: number of results.
        exact: compare the query with every vector; without it, more than 100,000 are searched by an index, which is
            built once and kept beside them.
        out: page of thumbnails to write, an .html file.
        part: one of the run's encoders, by which the samples are compared; with audio_encoder, sounds are found by a
            sound, and by an image or video as above (default: the kept one).
        size: image size in pixels, only for given weights (default 224); a run uses its own.
        download: allow torchvision and Hugging Face data sets, and published weights, to be downloaded.
        overwrite: replace an existing page.
    """
    from selftaught.core.files import check_out
    from selftaught.evaluation.search import search_data
    from selftaught.evaluation.subject import open_subject

    page = None if out is None else check_out(out, {".html": "html"}, overwrite=overwrite)
    subject = open_subject(run, part=part, size=size, download=download)
    found = search_data(subject, str(data), query, top, exact=exact, download=download)
    if page is not None:
        _write_page(page, subject, str(data), Path(query).expanduser(), found, download=download)
    return found


def _write_page(page: Path, subject: Any, data: str, query: Path, found: list[Json], *, download: bool) -> None:
    from dataclasses import replace
    from tempfile import TemporaryDirectory

    from selftaught.core.progress import say
    from selftaught.evaluation.search import embedded
    from selftaught.evaluation.vectors.shown import query_thumbnail, thumbnails
    from selftaught.report.search_page import QUERY, write_search_page

    folder = embedded(subject, data, download=download)
    with TemporaryDirectory() as place:
        files = thumbnails(subject, folder, [row["path"] for row in found], Path(place), download=download)
        reading = replace(subject.reading(folder.facts.data), value_range=folder.facts.value_range)
        if own := query_thumbnail(query, Path(place), reading):
            files[QUERY] = own
        about = {"query": query, "data": folder.facts.data, "run": subject.name, "samples": len(folder)}
        write_search_page(page, found, about, Path(place), files)
    say(f"the page of these results: {page.resolve()}")

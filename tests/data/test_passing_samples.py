"""What a stream makes of samples: images cut by the step, clips drawn by their place in the data."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np

from selftaught.core.randomness import numpy_generator
from selftaught.data.batch import Sampling
from selftaught.data.decode.encoded_video import EncodedVideo
from selftaught.data.decode.image import Decoding
from selftaught.data.inputs import Clip, Sound
from selftaught.data.passing_samples import PassingClips, PassingImages
from selftaught.data.store.passing_video import clips_of
from tests.conftest import WriteVideo
from tests.data.store.videos import moving
from tests.data.tar_shards import jpeg

PAIRS = Sampling(inputs={"video": Clip(frames=3), "more": Clip(frames=2, gap=(0.0, 0.2), after="video")})


def test_images_are_cut_where_the_draws_say() -> None:
    images = PassingImages(side=16, decoding=Decoding(), names=("image", "other"))
    samples = [images.decode(jpeg(number), ()).sample for number in (1, 2)]
    assert {sample.shape for sample in samples} == {(16, 21, 3)}
    host = images.rows_of(samples, np.array([5, 9]), np.array([[0.0, 0.0, 0.5], [0.0, 0.999, 0.5], [1, 1, 1]]))
    assert host.index.tolist() == [5, 9]
    assert np.array_equal(host["image"], np.stack([samples[0][:, :16], samples[1][:, 5:]]))
    assert host["other"] is host["image"]
    assert images.bytes == 4 * 16 * 16


def test_clips_are_drawn_by_their_place(tmp_path: Path, write_video: WriteVideo) -> None:
    path = write_video(tmp_path / "a.mp4", moving(30, 32))
    video = EncodedVideo(lambda: BytesIO(path.read_bytes()))
    clips = PassingClips(side=32, sampling=Sampling(inputs=PAIRS.inputs, clips_per_video=2, min_gap=0.2))
    one, again, other = (clips.decode(video, place).sample for place in ((0, "x", 1), (0, "x", 1), (0, "x", 2)))
    assert np.array_equal(one.inputs["video"], again.inputs["video"])
    assert not np.array_equal(one.time, other.time)
    assert abs(float(one.time[0] - one.time[1])) >= 0.2
    expected = clips_of(video, clips.sampling, numpy_generator(0, "x", 1).random((2, 4)), side=32)
    assert np.array_equal(one.inputs["more"], expected.inputs["more"])
    host = clips.rows_of([one, other], np.array([7, 3]), np.zeros((4, 3)))
    assert host.index.tolist() == [7, 7, 3, 3]
    assert host["video"].shape == (4, 3, 32, 32, 3)
    assert np.array_equal(host["more"][2:], other.inputs["more"])
    assert host.time is not None
    assert host.time.tolist() == [*one.time.tolist(), *other.time.tolist()]


def test_the_size_of_a_window_counts_all_frames_and_sound() -> None:
    sampling = Sampling(inputs={**PAIRS.inputs, "audio": Sound(seconds=0.5)}, clips_per_video=3)
    assert PassingClips(side=10, sampling=sampling).bytes == 3 * (5 * 300 + 4 * 8000)
    stamps = {tuple(PassingClips(side=side, sampling=PAIRS).stamps) for side in (8, 9)}
    assert len(stamps) == 2

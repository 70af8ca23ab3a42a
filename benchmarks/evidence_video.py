"""What `evidence.py` measures of video tasks: moving sequences, whose factors are known, and real actions."""

from __future__ import annotations

from evidence_settings import Setting

_CLIP = ("--frames", "8", "--stride", "3")
"""24 of the 32 frames of a video, every third."""
_ADAMW = ("--optimizer", "adamw", "--lr", "1e-3")

_MOVING: dict[str, tuple[str, ...]] = {
    "supervised": (*_CLIP, *_ADAMW),
    "frame_order_verification": ("--task.clip", "4", *_ADAMW),
    "odd_one_out": (),
    "sequence_permutation": (),
    "frame_order_recognition": ("--task.clip", "4", "--task.frames", "28", *_ADAMW),
    "clip_order": _ADAMW,
    "playback_rate": (),
    "clip_rotation": (*_CLIP, *_ADAMW),
    "cubic_puzzle": _ADAMW,
    "video_jigsaw": ("--task.clip", "4", *_ADAMW),
    "temporal_coherence": ("--task.clip", "8", *_ADAMW),
    "tracked_patches": ("--task.clip", "4", *_ADAMW),
    "transitive": ("--task.clip", "4", *_ADAMW),
    "video_gan": ("--task.width", "128", *_CLIP),
    "temporal_gan": ("--task.width", "128", *_CLIP),
    "motion_content_gan": ("--task.width", "128", *_CLIP),
    "video_prediction": ("--task.clip", "8", "--task.model", "mcnet"),
    "video_colorization": ("--task.clip", "4", "--task.stride", "2"),
    "video_colorization_direct": _CLIP,
    "video_mae": ("--encoder", "auto", "--frames", "8", "--stride", "2"),
    "video_simclr": ("--frames", "8", "--stride", "2", *_ADAMW),
    "dense_prediction": _ADAMW,
}
"""Task -> its own flags; the encoder takes clips in every row."""

VIDEO_SETTINGS = {
    "moving": Setting(
        page="evidence-video",
        data="moving:digits,videos=2000,ground=texture",
        tasks=_MOVING,
        flags="--encoder r3d_18 --stem standard --size 32 --batch-size 16 --steps 250 --evaluate-every 1",
        probe="action",
        evaluate=("--probe.clips", "1", "--probe.dims", "2000", "--limit", "500"),
        factors=("direction", "speed", "identity"),
    ),
}

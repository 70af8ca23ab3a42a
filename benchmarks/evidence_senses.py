"""What `evidence.py` measures of tasks with sound, flow, camera motion and free labels."""

from __future__ import annotations

from evidence_settings import Measured, Setting

_GRID = "grid_s1_300"
_ADAMW = ("--optimizer", "adamw", "--lr", "1e-3")
_CLIP = ("--encoder", "video_convnet", "--stem", "standard")
_FRAME = ("--encoder", "resnet18", "--stem", "standard")
_COMMAND = ("--label-column", "command")

SENSES_SETTINGS = {
    "sound": Setting(
        page="evidence-senses",
        data=_GRID,
        tasks={
            "audio_visual": (*_FRAME, *_ADAMW),
            "audio_visual_sync": (*_CLIP, *_ADAMW),
            "audio_visual_alignment": (*_CLIP, *_ADAMW),
            "ambient_sound": (*_FRAME, *_ADAMW),
        },
        flags="--size 32 --batch-size 16 --steps 600 --evaluate-every 12",
        measured={
            "command, seen": Measured("action", _GRID, _COMMAND),
            "command, heard": Measured(
                "linear",
                _GRID,
                (*_COMMAND, "--part", "audio_encoder"),
                tasks=("audio_visual", "audio_visual_sync", "audio_visual_alignment"),
            ),
        },
    ),
}

"""View synthesis."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from torch import Generator, Tensor, nn

from selftaught.core.ranges import Range, Settings
from selftaught.data.batch import Batch
from selftaught.data.inputs import Clip, Given, Input
from selftaught.encoders.base import Encoder
from selftaught.ops.clips.windows import inner_areas
from selftaught.ops.colour import denormalise, normalise
from selftaught.ops.crop import crop_resize
from selftaught.ops.depth.camera import (
    composed,
    crop_intrinsics,
    inverse_motion,
    leads_inside,
    mirror_poses,
    rigid_flow,
    usual_intrinsics,
)
from selftaught.ops.depth.draw_trajectory import draw_trajectory
from selftaught.ops.depth.photometric import at_side, edge_aware_roughness, photometric_difference, scaled_intrinsics
from selftaught.ops.depth.poses import constant_velocity, mean_motion, scaled_places, trajectory_error
from selftaught.ops.flow import warp
from selftaught.ops.frames import square_boxes
from selftaught.tasks.base import Map, PretextTask, Recipe, Shown
from selftaught.tasks.parts.hypercolumn import placed_stages
from selftaught.tasks.parts.structure.motion_networks import MotionNetwork, ResidualFlow
from selftaught.tasks.parts.structure.multiscale_decoder import MultiscaleDecoder

NEAREST, FARTHEST = 10.0, 0.01
"""One over the depths between which the network chooses (Zhou et al., their code)."""
FLOW_SMOOTH = 0.2
"""Weight of the smoothness of residual flow (Yin and Shi)."""


@dataclass
class Example:
    """Frames (N, T, 3, S, S) normalised, intrinsics (N, 3, 3) of them, and true poses (N, T, 4, 4) where given."""

    images: Tensor
    intrinsics: Tensor
    poses: Tensor | None = None


@dataclass
class Prediction:
    """One over depth of the middle frame, motions from its camera to those of the other frames (N, K, 4, 4), and more.

    `disparity` holds maps (N, 1, S / 2^k, S / 2^k), the finest first, and so does `masks`, logits (N K, 1, s, s).
    `hops` are motions (N, T - 1, 4, 4) to the next frame and (N, T - 2, 4, 4) to the one after it; `residual` is flow
    (N K, 2, S, S) in pixels.
    """

    disparity: list[Tensor]
    motion: Tensor
    masks: list[Tensor] = field(default_factory=list)
    hops: list[Tensor] = field(default_factory=list)
    residual: Tensor | None = None


class ViewSynthesis(PretextTask):
    """Estimate the depth of a frame and the motion of the camera, so that other frames, seen from there, become it
    (Zhou, Brown, Snavely, Lowe, CVPR 2017).

    Link: https://arxiv.org/abs/1704.07813 (SfMLearner), code: https://github.com/tinghuiz/SfMLearner

    Flow: frames of a clip (N, T, 3, H, W) -> the same crop of all (N, T, 3, S, S) -> the middle one through the 2-D
    encoder and a decoder with its stages: one over depth, 10 sigmoid + 0.01, at 4 resolutions; the middle one with each
    other one through a motion network: translation and rotation, and how well each pixel can be explained, E. With the
    intrinsics of the camera, depth and motion say where each pixel of the middle frame is in the other one, which is
    read there, bilinear.

    Loss, a mean over resolutions k and other frames: E times the difference of the middle frame and the one that is
    read, `ssim` (1 - SSIM) / 2 + (1 - `ssim`) |difference|; `explain` times -log E; `smooth` / 2^k times the first
    differences of one over depth (divided by its mean), which edges of the image excuse. With `mask` auto, a pixel
    is learned from only where the frame that is read fits better than the one as it is (Godard et al., ICCV 2019).

    Settings: `compose` weighs that motions to the frame after the next are those to the next, twice, and that motions
    there and back cancel (CTC: Iyer et al., CVPR workshops 2018); `residual` adds flow that the motion of the camera
    does not explain, learned from what the rigid flow leaves (GeoNet: Yin and Shi, CVPR 2018), without a gradient to
    depth and motion.

    To see a place from elsewhere, the network must know how far each thing is, and that needs to know the thing.

    The metric is the gain: 1 - difference after warping / difference of the frames as they are, over pixels that stay
    in the frame, whatever E. Chance is 0. With `poses` given, which are never learned from, `trajectory_error` is the
    error of the clip's trajectory after scaling, next to that of going straight on (`trajectory_error_straight`) and
    of the true first step again and again (`trajectory_error_constant`).

    Shortcut: nothing need be explained if E is 0, and nothing is wrong where all leads out of the frame. Guard: -log E;
    what leads out of the frame is compared with its edge, so that it costs; the metric does not see E. Bars and the
    border are cut off.

    Differences from the paper: any encoder; a motion network of pairs of frames, as CTC compares their motions; SSIM
    (as GeoNet), edges and the mean of one over depth in smoothness instead of plain second differences; crops, half of
    them mirrored; frames are square, so give the field of view along the short side, `fov`, where intrinsics are not
    given. GeoNet trains its flow after depth and motion, in both directions; here all learn together, from the middle
    frame, and without its consistency of both directions.
    """

    needs_moving_camera = True
    recipe = Recipe(optimizer="adamw", lr=4e-3, weight_decay=1e-4, clip=1.0)

    @dataclass(frozen=True, kw_only=True)
    class Config(Settings, prefix="task."):
        frames: Annotated[int, Range(least=2, most=9)] = 3
        """Frames of a clip (T)."""
        stride: Annotated[int, Range(least=1)] = 1
        """Distance of the frames, in frames of the video."""
        camera: Literal["fov", "given"] = "fov"
        """Intrinsics of the camera: those of a field of view, or given with the data."""
        fov: Annotated[float, Range(above=0, below=180)] = 45.0
        """Field of view along the short side of the frames in degrees, unless intrinsics are given."""
        poses: Literal["unknown", "given"] = "unknown"
        """Given poses are only compared with: the data must have them."""
        mask: Literal["explainability", "auto", "none"] = "explainability"
        """What leaves pixels out: E, or a comparison with the frames as they are."""
        explain: Annotated[float, Range(least=0)] = 0.2
        """Weight of -log E."""
        smooth: Annotated[float, Range(least=0)] = 0.02
        """Weight of smoothness of one over depth."""
        ssim: Annotated[float, Range(least=0, most=1)] = 0.85
        """Share of structure in the difference of images; 0, the paper's, for brightness alone."""
        compose: Annotated[float, Range(least=0)] = 0.0
        """Weight of the agreement of composed motions, with 3 frames or more."""
        residual: bool = False
        """Learn flow beyond that of the camera's motion."""
        scales: Annotated[int, Range(least=1, most=5)] = 4
        """Resolutions of depth."""
        least_side: Annotated[float, Range(above=0, most=1)] = 0.9
        """Smallest side of the window, as a share of the short side between black bars."""
        width: Annotated[int, Range(least=16)] = 256
        """Channels of the decoder at its lowest resolution; they halve with every doubling, down to 16."""

        def __post_init__(self) -> None:
            super().__post_init__()
            if self.compose and self.frames < 3:
                raise ValueError(
                    f"--task.compose compares motions over 3 frames or more, got --task.frames {self.frames}; raise it"
                )

    def __init__(self, encoder: Encoder, config: Config, size: int) -> None:
        super().__init__()
        self.encoder = encoder
        self.config = config
        self.size = size
        self.decoder = MultiscaleDecoder(encoder, size, out=1, scales=config.scales, width=config.width)
        self.motion = MotionNetwork(size, scales=config.scales if config.mask == "explainability" else 0)
        self.flow = ResidualFlow() if config.residual else None
        self.middle = config.frames // 2
        self.others = [number for number in range(config.frames) if number != self.middle]

    @classmethod
    def inputs(cls, config: Config) -> Mapping[str, Input]:
        camera: dict[str, Input] = {"intrinsics": Given("intrinsics")} if config.camera == "given" else {}
        poses: dict[str, Input] = {"pose": Given("pose")} if config.poses == "given" else {}
        return {"video": Clip(frames=config.frames, stride=config.stride), **camera, **poses}

    @classmethod
    def clip_for(cls, config: Config) -> Clip:
        """A single frame."""
        return Clip(frames=1)

    def metric_name(self) -> str:
        return "gain"

    def chance(self, batch_size: int) -> float:
        return 0.0

    def pseudo_label(self, batch: Batch, rng: Generator) -> Example:
        """Frames (N, T, 3, H, W) uint8, and intrinsics and poses of them -> `Example`; frames are labels themselves."""
        video = batch["video"]
        boxes = square_boxes(inner_areas(video, self.size), rng, least_side=self.config.least_side)
        cut = crop_resize(video.flatten(0, 1), boxes.repeat_interleave(video.shape[1], 0), self.size).clamp_(0, 1)
        given = self.config.camera == "given"
        intrinsics = batch["intrinsics"][:, self.middle] if given else usual_intrinsics(video, self.config.fov)
        poses = mirror_poses(batch["pose"], boxes[:, 3] < 0) if self.config.poses == "given" else None
        images = normalise(cut).unflatten(0, video.shape[:2])
        return Example(images, crop_intrinsics(intrinsics, boxes, self.size), poses)

    def forward(self, example: Example) -> Prediction:
        images = example.images
        disparity = self._disparity(images[:, self.middle])
        motion, masks = self._motions(images, [(self.middle, other) for other in self.others])
        found = Prediction(disparity, motion, [one.float() for one in masks])
        if self.config.compose:
            count = self.config.frames
            for far in (1, 2):
                found.hops.append(self._motions(images, [(k, k + far) for k in range(count - far)])[0])
        if self.flow is not None:
            found.residual = self.flow(self._left_unexplained(example, found)).float()
        return found

    def _disparity(self, images: Tensor) -> list[Tensor]:
        """One over depth of images (N, 3, S, S), the finest resolution first."""
        stages = placed_stages(self.encoder, images.contiguous(memory_format=torch.channels_last))
        return [(NEAREST - FARTHEST) * one.float().sigmoid() + FARTHEST for one in self.decoder(stages)]

    def _motions(self, images: Tensor, pairs: list[tuple[int, int]]) -> tuple[Tensor, list[Tensor]]:
        """Motions (N, K, 4, 4) from the first camera of each pair of frames to the second, and masks (N K, 1, s, s)."""
        first, second = (images[:, [pair[k] for pair in pairs]] for k in (0, 1))
        motion, masks = self.motion(torch.cat([first, second], 2).flatten(0, 1))
        return motion.unflatten(0, (len(images), len(pairs))), masks

    @torch.no_grad()
    def _left_unexplained(self, example: Example, found: Prediction) -> Tensor:
        """(N K, 12, S, S): both images, the second one warped, the rigid flow and the difference that is left."""
        target, other, flow = self.rigid(example, found, self.size)
        target, other = denormalise(target), denormalise(other)
        seen = warp(other, flow)
        return torch.cat([target, other, seen, flow, photometric_difference(seen, target, self.config.ssim)], 1)

    def rigid(self, example: Example, found: Prediction, side: int) -> tuple[Tensor, Tensor, Tensor]:
        """The middle frame and the others (N K, 3, s, s) at a resolution, and the flow (N K, 2, s, s) between them."""
        count = len(self.others)
        disparity = next(one for one in found.disparity if one.shape[-1] == side)
        target = at_side(example.images[:, self.middle], side).repeat_interleave(count, 0)
        other = at_side(example.images[:, self.others].flatten(0, 1), side)
        intrinsics = scaled_intrinsics(example.intrinsics, side / self.size).repeat_interleave(count, 0)
        flow, _ = rigid_flow(1 / disparity.repeat_interleave(count, 0), intrinsics, found.motion.flatten(0, 1))
        return target, other, flow

    def loss(self, prediction: Prediction, example: Example) -> dict[str, Tensor]:
        config = self.config
        images = Example(denormalise(example.images.float().flatten(0, 1)).view_as(example.images), example.intrinsics)
        total, logged = images.images.new_zeros(()), {}
        for k, disparity in enumerate(prediction.disparity):
            target, other, flow = self.rigid(images, prediction, disparity.shape[-1])
            difference = photometric_difference(warp(other, flow), target, config.ssim)
            if prediction.masks:
                logits = prediction.masks[k]
                total = total + (logits.sigmoid() * difference - config.explain * _log_sigmoid(logits)).mean()
            elif config.mask == "auto":
                still = photometric_difference(other, target, config.ssim)
                total = total + torch.minimum(difference, still).mean()
            else:
                total = total + difference.mean()
            even = disparity / disparity.mean((2, 3), keepdim=True).clamp(min=1e-6)
            image = at_side(images.images[:, self.middle], disparity.shape[-1])
            total = total + config.smooth / 2**k * edge_aware_roughness(even, image)
            if k == 0:
                logged = self._gains(target, other, flow, prediction)
        total = total / len(prediction.disparity)
        if prediction.hops:
            total = total + config.compose * self._disagreement(prediction)
        if prediction.residual is not None:
            total = total + self._residual_loss(images, prediction)
        if prediction.masks:
            logged["explained"] = prediction.masks[0].detach().sigmoid().mean()
        return {"loss": total, **logged, **self._trajectory(prediction, example)}

    def _disagreement(self, found: Prediction) -> Tensor:
        """Mean difference of motions that should be the same: over two frames at once, and there and back."""
        one, two = found.hops
        middle = self.middle
        before = found.motion[:, self.others.index(middle - 1)]
        twice = (composed(one[:, :-1], one[:, 1:]) - two).abs()
        return twice.mean() + (inverse_motion(one[:, middle - 1]) - before).abs().mean()

    def _residual_loss(self, images: Example, found: Prediction) -> Tensor:
        """Of the whole flow, at the finest resolution, without a gradient to the rigid one."""
        assert found.residual is not None
        target, other, flow = self.rigid(images, found, self.size)
        flow = flow.detach() + found.residual
        difference = photometric_difference(warp(other, flow), target, self.config.ssim).mean()
        return difference + FLOW_SMOOTH / 2 * edge_aware_roughness(flow, target)

    @torch.no_grad()
    def _gains(self, target: Tensor, other: Tensor, flow: Tensor, found: Prediction) -> dict[str, Tensor]:
        still = photometric_difference(other, target, self.config.ssim)

        def gain(flow: Tensor) -> Tensor:
            inside = leads_inside(flow)
            left = photometric_difference(warp(other, flow), target, self.config.ssim)
            return 1 - (left * inside).sum() / (still * inside).sum().clamp(min=1e-6)

        more = {} if found.residual is None else {"gain_with_residual": gain(flow + found.residual)}
        return {"gain": gain(flow), "flow": flow.norm(dim=1).mean(), **more}

    @torch.no_grad()
    def _trajectory(self, found: Prediction, example: Example) -> dict[str, Tensor]:
        """Errors of the trajectory, and of two that no network has seen; nothing without poses."""
        if example.poses is None:
            return {}
        rivals = {"": self.trajectory(found), "_straight": mean_motion(example.poses)}
        if self.config.frames > 2:
            rivals["_constant"] = constant_velocity(example.poses)
        return {f"trajectory_error{k}": trajectory_error(p, example.poses).mean().float() for k, p in rivals.items()}

    def trajectory(self, found: Prediction) -> Tensor:
        """Poses (N, T, 4, 4) of the cameras of all frames, in the axes of the middle one."""
        poses = inverse_motion(found.motion.detach().float())
        middle = torch.eye(4, device=poses.device).expand(len(poses), 1, 4, 4)
        return torch.cat([poses[:, : self.middle], middle, poses[:, self.middle :]], 1)

    def depth(self, prediction: Prediction) -> Tensor:
        """Depth (N, S, S) of the middle frame, up to a factor."""
        return 1 / prediction.disparity[0].detach()[:, 0]

    def predict_maps(self, images: Tensor) -> Mapping[str, Tensor]:
        """Depth, up to a factor."""
        return {"depth": 1 / self._disparity(images)[0][:, 0]}

    def show(self, example: Example, prediction: Prediction, count: int) -> list[Shown]:
        """The clip, and the middle frame as it is read from the next one; the frame itself and its depth.

        With poses, the way of the camera from above stands in the place of both: the true one, and that which is found.
        """
        _, other, flow = self.rigid(example, prediction, self.size)
        seen = denormalise(warp(other, flow)).clamp(0, 1).unflatten(0, (len(example.images), -1))[:, -1]
        clips = denormalise(example.images.flatten(0, 1)).view_as(example.images)
        depth = self.depth(prediction)
        shown = []
        for n in range(min(count, len(clips))):
            inputs, label = [clips[n], seen[n]], clips[n, self.middle]
            if example.poses is None:
                shown.append(Shown(inputs=inputs, pseudo_label=label, prediction=Map(values=depth[n], kind="depth")))
                continue
            found, true = (
                one[0] for one in scaled_places(self.trajectory(prediction)[n : n + 1], example.poses[n : n + 1])
            )
            reach = 1.2 * max(float(true.abs().max()), float(found.abs().max()))
            drawn = [draw_trajectory(one, self.size, reach=reach) for one in (true, found)]
            shown.append(Shown(inputs=[*inputs, _grey(depth[n])], pseudo_label=drawn[0], prediction=drawn[1]))
        return shown


def _log_sigmoid(logits: Tensor) -> Tensor:
    return nn.functional.logsigmoid(logits)


def _grey(depth: Tensor) -> Tensor:
    """(H, W) -> (1, H, W) in [0, 1], the nearest black."""
    return ((depth - depth.min()) / (depth.max() - depth.min()).clamp(min=1e-6))[None]

"""What is known of a frame is exact: against formulas, against the next frame, against the other maps."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from selftaught.data.sources.world.motion import Simulation
from selftaught.data.sources.world.render import Frame, contours_of
from selftaught.data.sources.world.scene import draw_scene
from selftaught.data.sources.world.textures import drawn_textures
from tests.data.sources.world.small_scenes import CENTRE, RADIUS, ball_on_ground, frame_of, path_of, smooth_textures

MOVING = path_of(velocity=(0.6, -0.5, 0.2), sway=(0.05, 0.05, 0.02), roll=0.1)


def test_depth_and_normals_of_a_ball_and_of_the_ground() -> None:
    frame = frame_of(ball_on_ground(MOVING), 2)
    instances, depth, normals = frame.instances(), frame.depth(), frame.normals()
    camera = frame.camera
    rays = camera.rays(camera.pixels()).reshape(48, 48, 3)
    ground = (instances == 0) & (depth > 0)
    assert ground.sum() > 500
    assert np.allclose(depth[ground], (-camera.centre[2] / rays[..., 2])[ground], rtol=1e-5)
    ball = instances == 1
    assert ball.sum() > 100
    a, b = (rays**2).sum(2), (rays * (CENTRE - camera.centre)).sum(2)
    c = ((CENTRE - camera.centre) ** 2).sum() - RADIUS**2
    exact = (b - np.sqrt(np.maximum(b * b - a * c, 0))) / a
    assert np.allclose(depth[ball], exact[ball], rtol=1e-5)
    outward = (camera.centre + rays * depth[..., None] - CENTRE) / RADIUS
    world = normals @ camera.pose[:3, :3].T
    assert np.allclose(world[ball], outward[ball], atol=1e-4)
    assert np.allclose(world[ground], (0, 0, 1), atol=1e-5)
    sky = depth == 0
    assert not normals[sky].any()


@pytest.mark.parametrize("velocity", [(0, 0, 0), (0.0, 2.0, 1.5)])
def test_the_next_frame_moved_back_by_the_flow_is_this_one(velocity: tuple[float, float, float]) -> None:
    simulation = Simulation(ball_on_ground(MOVING, velocity=velocity), 10.0)
    side, textures = 96, smooth_textures()
    here, after = (Frame(simulation, number, side=side, textures=textures) for number in (2, 3))
    flow, occluded = here.flow(), here.occlusion()
    assert np.abs(flow).max() > 3
    places = (here.camera.pixels() - 0.5).reshape(side, side, 2).astype(np.float32) + flow
    # The four pixels that are interpolated must show one thing, and none of them the mean of an edge.
    plain = (occluded == 0) & (near_edges(here) == 0) & (bilinear(near_edges(after), places) == 0)
    plain &= here.depth() < 5  # beyond, a wave of the texture is few pixels high
    assert plain.mean() > 0.4
    assert (plain & (here.instances() == 1)).sum() > 150
    error = np.abs(bilinear(after.colours(), places) - here.colours()).max(2)[plain]
    assert error.max() < 1 / 255


def near_edges(frame: Frame) -> NDArray[np.float32]:
    """(side, side) 1 in and beside pixels at an edge of a shape, or of the sky."""
    edges = frame._edges().reshape(frame.depth().shape) | (contours_of((frame.depth() > 0).astype(np.int16)) > 0)
    return np.asarray(cv2.dilate(edges.astype(np.uint8), np.ones((3, 3), np.uint8)), np.float32)


def bilinear(image: NDArray[np.float32], places: NDArray[np.float32]) -> NDArray[np.float32]:
    """An image (H, W, ...) at places (H, W, 2); OpenCV rounds these to 1/32 of a pixel."""
    x, y = places[..., 0].clip(0, image.shape[1] - 1.001), places[..., 1].clip(0, image.shape[0] - 1.001)
    left, top = x.astype(int), y.astype(int)
    right, down = x - left, y - top
    if image.ndim == 3:
        right, down = right[..., None], down[..., None]
    upper = image[top, left] * (1 - right) + image[top, left + 1] * right
    lower = image[top + 1, left] * (1 - right) + image[top + 1, left + 1] * right
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def test_what_is_occluded_is_hidden_by_something_nearer_or_outside() -> None:
    simulation = Simulation(ball_on_ground(velocity=(0, 3.0, 0)), 10.0)
    here, after = (Frame(simulation, number, side=64, textures=smooth_textures()) for number in (0, 1))
    occluded, flow = here.occlusion() == 1, here.flow()
    ground = (here.instances() == 0) & (here.depth() > 0)
    assert np.abs(flow[ground]).max() < 1e-6  # the camera stands still
    covered = after.instances() == 1
    assert np.array_equal(occluded & ground, covered & ground)
    assert not occluded[(here.instances() == 1) & np.roll(here.instances() == 1, 3, 1)].all()


def test_the_sky_moves_as_the_camera_turns() -> None:
    sky = np.array([[0.8, 0.8, 0.8], [0.1, 0.2, 0.6]])
    frame = frame_of(ball_on_ground(path_of(velocity=(0, 1.0, 0)), sky=sky), 1)
    after = frame_of(ball_on_ground(path_of(velocity=(0, 1.0, 0)), sky=sky), 2)
    above = frame.depth() == 0
    assert above.any()
    rays = frame.camera.rays(frame.camera.pixels())
    expected = after.camera.project_direction(rays)[0] - frame.camera.pixels()
    assert np.allclose(frame.flow()[above], expected.reshape(48, 48, 2)[above], atol=1e-4)
    assert np.abs(frame.flow()[above]).max() > 0.5


def test_masks_agree_with_each_other() -> None:
    textures = drawn_textures()
    for seed in range(3):
        scene = draw_scene(np.random.default_rng(seed), place=None, bodies=(5, 12), textures=len(textures), seconds=1.0)
        frame = Frame(Simulation(scene, 15.0), 3, side=48, textures=textures)
        instances, moving, contours, depth = (frame.given(k) for k in ("instances", "moving", "contours", "depth"))
        assert set(np.unique(instances)) <= set(np.unique(scene.instance))
        assert not moving[instances == 0].any()
        for number in np.unique(instances):
            assert len(np.unique(moving[instances == number])) == 1
        assert np.array_equal(contours[:, 1:] > 0, (contours[:, 1:] > 0) | (instances[:, 1:] != instances[:, :-1]))
        assert not instances[depth == 0].any()
        image = frame.image()
        assert (image.shape, str(image.dtype)) == ((48, 48, 3), "uint8")
        assert image.std() > 10


def test_contours_are_on_both_sides_of_an_edge() -> None:
    instances = np.array([[0, 0, 1], [0, 0, 1], [0, 0, 0]], np.int16)
    assert contours_of(instances).tolist() == [[0, 1, 1], [0, 1, 1], [0, 0, 1]]

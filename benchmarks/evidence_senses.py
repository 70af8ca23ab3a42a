"""What `evidence.py` measures of tasks with sound, flow, camera motion and free labels."""

from __future__ import annotations

from evidence_cuts import GRID, MOUTHS, SCENES, WALK
from evidence_settings import Measured, Setting

_ADAMW = ("--optimizer", "adamw", "--lr", "1e-3")
_CLIP = ("--encoder", "video_convnet", "--stem", "standard")
_FRAME = ("--encoder", "resnet18", "--stem", "standard")
_COMMAND = ("--label-column", "command")
_ACTIONS = "jhmdb14"
_ROOM = "scenes7_rgbd/scenes7_rgbd.zip"
_WORLD = "world:scenes=400,frames=16,side=64"
_PHOTOS = Measured("linear", "imagenette128", ("--limit", "2000"))
_UNMASKED = ("--batch-size", "8", "--task.unmasked", "0.99")
"""No pixel counts as occluded in a run so short; a step of few pairs, as one of 32 takes seconds."""
_MOTIONS = {
    "egomotion": ("--task.axes", "all", "--task.stride", "2", "--task.dropout", "0", *_ADAMW),
    "egomotion_equivariance": ("--task.axes", "all", "--task.stride", "2", *_ADAMW),
    "view_synthesis": (
        *("--batch-size", "16", "--task.stride", "3", "--task.camera", "given", "--task.poses", "given"),
        *_ADAMW,
    ),
}
_NEIGHBOURS = Measured("knn", "imagenette128", ("--limit", "2000"))
_SHORT_PROBE = ("--probe.size", "96", "--probe.steps", "150", "--probe.batch-size", "8")
_PHOTOS_FOR_LABELS = {"supervised": "imagenette128"}
_DEPTH = Measured("depth", _ROOM)
_TINY = "--encoder resnet18 --stem standard --size 64 --batch-size 32 --steps 400 --evaluate-every 8"

_CAMERA_READING = """
WALK is a folder of stretches of 16 frames of the walk, one from every fourth frame: 134 from frames 0 to 549 to learn
from, and 32 held out from frames 560 to 699, of the same room. The order of depth is that of the same sequence, so that
it says how well the room is known and not more.

What can be concluded: relative_depth, egomotion_equivariance and view_synthesis are above their trivial baselines on
frames of the walk that they have not seen, with both seeds, after two minutes of one core, and the order of depth is
read from the features of the first two better than from random weights, beyond the interval over the test images; for
view_synthesis by two points, where the interval of the first seed includes 0. By its order alone relative_depth is
right in 84 % of the pairs, where "lower in the image is nearer" is right in 87 %: most frames show a counter from
above. On pairs in which the lower point is nearer and those in which it is farther alike (the metric, chance 50 %), it
is right in 70 %. The trajectories of view_synthesis are not better than going straight on (0.0226 m of 0.0199 m),
though those of training are (0.0144 of 0.0166): 134 overlapping stretches of one walk do not suffice.

egomotion learned nothing while it compared the last maps of the network, of 2 x 2 places at 64 pixels: its loss stayed
at that of a guess in training too, although the mean optical flow of the same pairs has a correlation of 0.8 with yaw,
pitch and both translations across the view. Since it compares places of a grid of 16 x 16 by cosines, it finds the bin
of an axis in 10 % of held-out pairs (chance 5 %), and its features are three points above random weights for the order
of depth. Features that were learned from 550 frames of one room are no better for photographs than random weights, and
worse for k-NN.
"""

_MOTION_READING = """
What can be concluded: from clips of people alone, contour, flow_similarity and moving_object learn features that are
better than random weights for photographs of other things, with both seeds and beyond the interval: by five, five and
three points on average, a third of what as many photographs with labels give (14). For the action they gain too
(moving_object nine and six points, flow_similarity seven and three), beyond the interval with the first seed only. All
three hold on videos they were not trained on, and unsupervised_flow does (gain 0.27 and 0.25), whose features, of where
things went, are of no use to either probe. Nearest neighbours on the last stage gain with labels alone.

Supervised training is that on the labels of imagenette128, for as many images as the tasks see; it shows how much room
the probes of photographs leave. Masks of moving_object are those of `videopca`, as most of these cameras stand still;
whether they and what is learned from them are right is measured in [masks of moving objects](moving_objects.md), and
the edges of contour in [contours](contours.md).

flow_prediction cannot be far above 0 on these data: one frame of a person does not say which way the arm goes, and the
mean of both ways is no motion. What was tried: AdamW at 1e-3 and SGD at 0.5. Frames of a still camera of the world
would not tell much more: the mean flow explains 0.03 there, and ridge regression from 16 x 16 pixels 0.04.

rgb_flow (0.08 and 0.05 of 0.06) and pose_action (0.49 and 0.48 of 0.50) learn nothing in these steps that holds for
other videos. What was tried for rgb_flow: 500 steps of windows of at least 80 % of the frame without blur or noise;
frames and flows of other videos became more alike than their own (cosines 0.54 and 0.50). On digits that are drawn,
where the frame tells what moves, rgb_flow and flow_prediction do learn (see drawn).
"""

_WORLD_READING = """
What can be concluded: features that are learned from 400 rendered scenes alone, of no photograph, are better than
random weights for photographs, with both seeds. With contour they are five and four points better on imagenette128,
four and three on CIFAR-10; with synthetic_labels, which learns contours, depth and normals, seven and three, and three
and three. That is a third of what as many images with the labels of imagenette128 give there (14 points), and about
half of what these give on CIFAR-10. The room that the probes leave is small: three points for the order of depth, two
for camvid.

contour, synthetic_labels, unsupervised_flow, moving_object, relative_depth and egomotion are above their trivial
baselines in scenes that they have not seen, with both seeds. Against the truth of the simulation, which is never
learned from, the masks of moving_object have an intersection over union of 0.17, everything moving 0.13 (first seed);
the order of relative_depth is right in 72.3 % of the pairs, "lower is nearer" in 71.8 %.

What is not clearly above its baseline, and why: flow_prediction (0.00 and 0.02), as cameras move and turn at random in
these scenes and one frame does not say where to; its features are nevertheless above random weights in nearly all
probes. egomotion_equivariance (0.16 and 0.23 of 0.17 here, 0.27 and 0.35 on the walk): 400 cameras of other fields of
view move less alike than one. view_synthesis explains 3 to 6 % of the error, as frames of a camera that turns much and
bodies that fall break its assumption of a still scene; its features gain for the order of depth alone, and are worse
than random weights for photographs. Rows are of few steps, two minutes of one core each.
"""

_NEAR = ("--task.min-scale", "0.7")
_WHOLE = ("--size", "64", "--task.min-scale", "1")
_ONE_BIT = ("--task.seconds", "0.5", "--task.target", "binary", "--task.bits", "1")
_SOUND_READING = """
What can be concluded: audio_visual_alignment (0.96 and 0.97), audio_visual_sync (0.88 and 0.86) and ambient_sound (0.89
and 0.87 of 0.67) are learned from 210 sentences and hold for sentences never trained on, with both seeds. audio_visual,
which sees one frame, is at chance. The spoken command is read from the frames 10 points better than with random weights
after audio_visual_sync, 7 after ambient_sound and 5 after audio_visual_alignment, on average; with one seed of two the
gain of the first two is beyond the interval, which is 20 points wide on 90 sentences. Supervised training gains 22 and
14. What cannot be concluded: that the audio encoder helps with the letter that is heard, which does not gain; nor
anything about other persons, as there is one.

What the data can give at all was measured first, without any network, on crops around the mouth. Movement and loudness
go together at a lag of 0 to 20 ms (correlation 0.5), so frames and sound are read in step. Their correlation ranks the
own sound above that of another moment of the sentence in 96 % of clips of 1.3 s (audio_visual_sync), 84 % where moments
may overlap by half (audio_visual_alignment) and 76 % of clips of 0.64 s. A single frame, by ridge regression onto the
log-mel of 1 s, ranks 75 % of such pairs and 63 % of those with another sentence (audio_visual), and predicts the sign
of the first principal component of the texture of 0.5 s of sound in 80 % (commonest sign 70 %; ambient_sound; the
further components hardly). With 3.75 s, the default of ambient_sound, every moment has the sound of the whole sentence,
which no frame tells.

What was tried before: with a rate of 8e-3 and 9,600 clips, sounds of lengths chosen for other videos, all four stayed
at chance. In short runs at 1e-3, audio_visual_alignment stayed at chance for 150 steps of 32 clips and reached 0.85
after 300; audio_visual_sync reached 0.84 after 100 with an encoder that sees the differences of frames, and stayed at
chance for 500 with `video_convnet`. What ridge regression finds for audio_visual resnet18 has not found in the whole
frame in 600 steps of 32; in frames cut to the mouth it does in 250 steps of 64 (next table).
"""

_OFGRID = {
    "command, seen": Measured("action", GRID, _COMMAND),
    "letter, heard": Measured(
        "linear",
        GRID,
        ("--label-column", "letter", "--part", "audio_encoder"),
        tasks=("audio_visual", "audio_visual_sync", "audio_visual_alignment"),
    ),
}

_IMPACTS_READING = """
A test with known answers: bodies of rendered scenes collide, each blow rings by modal synthesis, and all bodies of a
scene are of one material, which is heard and not seen. What can be concluded: audio_visual_sync tells the sound of the
moment from that of another one in 64 and 68 % of pairs of scenes never trained on, where only the times of blows agree;
in a single run with `--task.gap 0.5`, 72 %. audio_visual_alignment with `video_convnet` stayed at chance for 400 steps.
What cannot be concluded: what the audio encoder has learned, as random weights hear the material in 96 to 97 %, and no
room is left.
"""

_SCENES_READING = """
SCENES are the 40 real clips with sound of av_scenes17 and av_clips, six minutes altogether: 34 to learn from, six held
out. What can be concluded: nothing about the tasks. audio_visual is right for 25 and 75 % of the held-out pairs, and
sees each of the others 94 times: what a drum sounds like is not learned where one or two drums are seen. The clips show
that real files with real sound are read and trained on from end to end, and that the metric of so few is worth nothing;
what the tasks can learn is in the tables of sound, mouths, impacts and materials.
"""

_MOUTHS_READING = """
MOUTHS are the same sentences, their frames cut to the 60 x 60 pixels around the place at which change goes with
loudness in all of them. With frames like these audio_visual is learned in two minutes of one core: held-out pairs of a
frame and a second of sound of the same sentence, own or of another moment, are told apart in 77 and 79 %, chance 50 %.
A single frame, by ridge regression onto the log-mel, ranks the own second above another one of the sentence in 71 % of
the pairs at the mouth. What cannot be concluded: that the features help with the command that is seen or the letter
that is heard, as the gains are within the interval on 90 sentences, and of either sign.
"""

_OF_MOUTHS = {
    "command, seen": Measured("action", MOUTHS, _COMMAND),
    "letter, heard": Measured("linear", MOUTHS, ("--label-column", "letter", "--part", "audio_encoder")),
}

_MATERIALS = "world:scenes=500,frames=40,side=64,sound=impacts,materials=seen"
_MATERIALS_READING = """
A test with known answers: the bodies of a scene are of one of five materials, which is both seen and heard
(`materials=seen`), so that frame and sound belong together where they tell of the same one. As one in five of the
sounds of other scenes is of the same material too, whoever knows the materials alone is right in 90 % of the pairs.

What can be concluded: audio_visual tells own sounds from those of other scenes in 72 and 70 % of the pairs of scenes
never trained on, chance 50 %. The material is read from its frames 19 points better than from random weights with the
first seed, as labels give 29, and two points better with the second (held-out loss 0.58, the first 0.54). ambient_sound
finds the cluster of the sound in 70 % (commonest 34 %) and gains 24 points, in one seed. What cannot be concluded: what
the audio encoder has learned, as random weights hear the material in 98 to 100 % of the scenes.
"""

_DIGITS = "moving:digits,videos=800,side=64,ground=texture"
_FALLING = f"{_DIGITS},motion=fall,frames=12"
_DRAWN = ("--task.degrade", "0", *_ADAMW)
"""Drawn frames were never compressed: there are no traces of a codec to hide."""
_DRAWN_READING = """
A test with known answers: digits move straight on over textures that stand still, so that the place and the shape of
what moves are in the frame and in its flow. flow_prediction is trained on digits that fall from rest in 12 frames
(`motion=fall,frames=12,label=identity`), where the height tells the speed.

What can be concluded: rgb_flow finds a frame's own flow among 16 in 29 and 34 % of the clips of digits never trained
on, chance 6 %; its features gain for neither probe, perhaps as the place of a digit already tells much of its flow.
flow_prediction explains 76 % of the flow from one frame with both seeds. Its features gain 26 and 19 points for the
digit that is seen and three for photographs, with both seeds beyond the interval. The baseline of 0 is that of no
motion; the mean flow of the training frames explains 0.25, and ridge regression from 16 x 16 pixels 0.47.

pose_action stays at chance (0.52 of 0.50, and its loss in training at that of a guess, ln 2), although the data tell:
the direction from what vanishes to what appears between two frames agrees with the mean flow, and not with that of the
clip played backwards, in all of 150 clips, and is nearer to it than to the flow of another clip in 97 %. What was
tried: 500 steps of 16 with windows of 80 % of the frame; on a black ground, 200 steps of 32 with whole frames, three
fields of flow and no dropout at 1e-3; the same with flows of other clips alone (`--task.hard 0`), 125 steps at 3e-4.
The answer is a product of what the frames show and what the flow shows, of which the last layers, which see them side
by side, find no first hint in so few steps.
"""

SENSES_SETTINGS = {
    "sound": Setting(
        page="evidence-senses",
        data=GRID,
        tasks={
            "audio_visual": (*_FRAME, *_ADAMW, *_WHOLE, "--task.same-video", "1"),
            "audio_visual_sync": (
                *("--encoder", "differences15:resnet18", "--stem", "standard", *_ADAMW, *_NEAR),
                *("--frames", "16", "--stride", "2", "--task.seconds", "1.28", "--task.gap", "0.02"),
                *("--task.hard", "0.5", "--task.hard-after", "0"),
            ),
            "audio_visual_alignment": (*_CLIP, *_ADAMW, *_NEAR),
            "supervised": (
                *("--encoder", "differences31:resnet18", "--stem", "standard", *_ADAMW, *_NEAR, *_COMMAND),
                *("--frames", "32", "--stride", "2"),
            ),
            "ambient_sound": (*_FRAME, *_ADAMW, *_WHOLE, *_ONE_BIT),
        },
        flags="--size 32 --batch-size 32 --steps 600 --evaluate-every 25",
        measured=_OFGRID,
        reading=_SOUND_READING,
    ),
    "impacts": Setting(
        page="evidence-senses",
        data="world:scenes=300,frames=60,side=32,sound=impacts",
        tasks={
            "audio_visual_sync": (
                *("--encoder", "differences15:resnet18", "--stem", "standard", *_ADAMW, "--task.min-scale", "0.9"),
                *("--frames", "16", "--stride", "2", "--task.seconds", "1.28", "--task.gap", "0.02"),
                *("--task.hard", "0.5", "--task.hard-after", "0"),
            ),
        },
        flags="--size 32 --batch-size 32 --steps 500 --evaluate-every 25",
        measured={
            "material, heard": Measured(
                "linear", "world:scenes=300,frames=60,side=32,sound=impacts", ("--part", "audio_encoder")
            ),
        },
        reading=_IMPACTS_READING,
    ),
    "scenes": Setting(
        page="evidence-senses",
        data=SCENES,
        tasks={
            "audio_visual": (*_FRAME, *_ADAMW, *_NEAR, "--task.same-video", "0"),
            "audio_visual_alignment": (*_CLIP, *_ADAMW, *_NEAR),
        },
        flags="--size 64 --batch-size 32 --steps 200 --evaluate-every 10 --held-out 0.25",
        measured={"imagenette": Measured("linear", "imagenette128", ("--limit", "2000"), tasks=("audio_visual",))},
        reading=_SCENES_READING,
    ),
    "mouths": Setting(
        page="evidence-senses",
        data=MOUTHS,
        tasks={"audio_visual": (*_FRAME, *_ADAMW, "--task.min-scale", "0.9", "--task.same-video", "1")},
        flags="--size 48 --batch-size 64 --steps 250 --evaluate-every 25",
        measured=_OF_MOUTHS,
        reading=_MOUTHS_READING,
    ),
    "materials": Setting(
        page="evidence-senses",
        data=_MATERIALS,
        tasks={
            "audio_visual": (*_ADAMW, "--task.min-scale", "0.7", "--task.same-video", "0", "--steps", "800"),
            "ambient_sound": (*_ADAMW, *_NEAR, "--task.seconds", "2", "--task.clusters", "5"),
            "supervised": (*_ADAMW, *_NEAR),
        },
        flags="--encoder resnet18 --stem standard --size 64 --batch-size 32 --steps 400 --evaluate-every 8",
        measured={
            "material, seen": Measured("linear", _MATERIALS),
            "material, heard": Measured("linear", _MATERIALS, ("--part", "audio_encoder"), tasks=("audio_visual",)),
        },
        reading=_MATERIALS_READING,
    ),
    "drawn": Setting(
        page="evidence-senses",
        data=_DIGITS,
        data_of_task={"flow_prediction": f"{_FALLING},label=identity", "supervised": f"{_DIGITS},label=identity"},
        tasks={
            "supervised": _ADAMW,
            "rgb_flow": ("--batch-size", "16", "--task.frames", "6", "--task.min-scale", "0.8", *_DRAWN),
            "flow_prediction": _DRAWN,
            "pose_action": (
                *("--batch-size", "16", "--task.frames", "6", "--task.stride", "2", "--task.min-scale", "0.8"),
                *_DRAWN,
            ),
        },
        flags="--encoder resnet18 --stem standard --size 64 --batch-size 32 --steps 500 --evaluate-every 8",
        measured={
            "identity": Measured("action", f"{_DIGITS},label=identity", ("--probe.clips", "1")),
            "imagenette": _PHOTOS,
        },
        reading=_DRAWN_READING,
    ),
    "motion": Setting(
        page="evidence-senses",
        data=_ACTIONS,
        data_of_task=_PHOTOS_FOR_LABELS,
        tasks={
            "supervised": _ADAMW,
            "moving_object": ("--task.program", "videopca", *_ADAMW),
            "contour": _ADAMW,
            "rgb_flow": ("--batch-size", "16", *_ADAMW),
            "flow_similarity": _ADAMW,
            "flow_prediction": _ADAMW,
            "unsupervised_flow": ("--task.stride", "2", *_UNMASKED, *_ADAMW),
            "pose_action": ("--batch-size", "16", *_ADAMW),
        },
        flags=_TINY,
        measured={
            "imagenette": _PHOTOS,
            "imagenette, k-NN": _NEIGHBOURS,
            "action": Measured("action", _ACTIONS, ("--probe.dims", "2000", "--probe.clips", "1")),
        },
        reading=_MOTION_READING,
    ),
    "camera": Setting(
        page="evidence-senses",
        data=WALK,
        tasks={
            **_MOTIONS,
            "relative_depth": ("--task.fov", "57.4", *_ADAMW),
        },
        flags=_TINY,
        measured={"imagenette": _PHOTOS, "imagenette, k-NN": _NEIGHBOURS, "order of depth": _DEPTH},
        reading=_CAMERA_READING,
    ),
    "world": Setting(
        page="evidence-senses",
        data=_WORLD,
        data_of_task=_PHOTOS_FOR_LABELS,
        tasks={
            "supervised": _ADAMW,
            "moving_object": ("--task.program", "flow", "--task.truth", "moving", *_ADAMW),
            "contour": _ADAMW,
            "relative_depth": _ADAMW,
            "flow_prediction": _ADAMW,
            "unsupervised_flow": ("--task.stride", "2", *_UNMASKED, *_ADAMW),
            **_MOTIONS,
            "synthetic_labels": ("--batch-size", "16", "--task.grey", "false", *_ADAMW),
        },
        flags=_TINY,
        measured={
            "imagenette": _PHOTOS,
            "cifar10": Measured("linear", "cifar10", ("--limit", "2000")),
            "order of depth": _DEPTH,
            "camvid": Measured("segmentation", "camvid240/camvid240.zip", _SHORT_PROBE),
        },
        reading=_WORLD_READING,
    ),
}

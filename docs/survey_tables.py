"""The pretext tasks and methods of the survey of Jing & Tian (2020), and the commands that train them.

docs/generate.py turns them into docs/survey.md and into the table of README.md. Methods, families and their order are
those of Tables II and III of the survey (https://arxiv.org/abs/1902.06162), with references corrected where the survey
confuses them.
"""

from __future__ import annotations

from dataclasses import dataclass

KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "Generation of images": {
        "Colorization": ("colorization", "split_brain", "video_colorization", "video_colorization_direct"),
        "Super-resolution": ("super_resolution",),
        "Inpainting": ("inpainting",),
        "Image generation (GAN)": ("gan", "bigan", "artifacts", "autoencoder"),
    },
    "Generation of video": {
        "Video generation (GAN)": ("video_gan", "temporal_gan", "motion_content_gan"),
        "Video prediction": ("video_prediction",),
    },
    "Context: similarity": {
        "Clustering": ("clustering", "deep_embedded_clustering", "noise_as_targets", "exemplar"),
        "Graph constraint": ("graph_constraint", "tracked_patches", "transitive"),
    },
    "Context: spatial structure": {
        "Jigsaw puzzle": ("jigsaw", "video_jigsaw", "cubic_puzzle"),
        "Context prediction": ("context_prediction", "counting"),
        "Geometric transformation": ("rotation", "transformation", "clip_rotation"),
    },
    "Context: temporal structure": {
        "Frame-order verification": (
            *("frame_order_verification", "odd_one_out", "arrow_of_time"),
            *("sequence_permutation", "temporal_coherence"),
        ),
        "Frame-order recognition": ("frame_order_recognition", "clip_order", "playback_rate"),
    },
    "Free semantic labels": {
        "Moving-object segmentation": ("moving_object",),
        "Contour detection": ("contour", "synthetic_labels"),
        "Relative depth": ("relative_depth",),
    },
    "Cross-modal": {
        "Visual-audio correspondence": (
            *("audio_visual", "audio_visual_sync", "audio_visual_alignment", "ambient_sound"),
        ),
        "RGB-flow correspondence": (
            "rgb_flow",
            "flow_similarity",
            "flow_prediction",
            "unsupervised_flow",
            "pose_action",
        ),
        "Egomotion": ("egomotion", "egomotion_equivariance", "view_synthesis"),
    },
}
"""Family -> kind of pretext task (nineteen in all) -> its tasks, the most typical first."""

TRUTH = {
    "Moving-object segmentation": ("masks against annotated ones", "moving_objects.md"),
    "Contour detection": ("contours against annotated ones", "contours.md"),
    "Relative depth": ("depth against truth", "depth.md"),
    "RGB-flow correspondence": ("flow against truth", "motion_truth.md"),
    "Egomotion": ("motion against truth", "motion_truth.md"),
}
"""Kind -> what is measured against truth, and its page in docs/results."""

NEWER = {
    "Masked prediction": ("mae", "video_mae"),
    "Joint embedding": ("simclr", "moco", "video_simclr"),
    "Predictive coding": ("dense_prediction",),
    "Distillation": ("distill",),
}
"""Kinds that came after the survey."""


@dataclass(frozen=True)
class Method:
    """One row of Table II or III.

    Attributes:
        name: as in the survey.
        paper: authors and venue with year.
        family: as in the survey: Generation, Context, Free semantic label, Cross modal or Multiple.
        flags: of `selftaught pretrain DATA`; "" where no command trains it.
        note: what is different, or why no command trains it.
    """

    name: str
    paper: str
    family: str
    flags: str
    note: str = ""


_GAN = "--task gan --task.rotation 0 --task.generator-rotation 0"
_G, _C, _F, _X, _M = "Generation", "Context", "Free semantic label", "Cross modal", "Multiple"

IMAGES = (
    Method("GAN", "Goodfellow et al., NIPS 2014", _G, _GAN, "convolutions as in DCGAN"),
    Method("DCGAN", "Radford, Metz, Chintala, ICLR 2016", _G, f"{_GAN} --task.width 1024"),
    Method(
        "WGAN",
        "Arjovsky, Chintala, Bottou, ICML 2017",
        _G,
        f"{_GAN} --task.objective wgan_gp",
        "gradient penalty (Gulrajani et al., NIPS 2017) instead of clipped weights",
    ),
    Method("BiGAN", "Donahue, Krähenbühl, Darrell, ICLR 2017", _G, "--task bigan"),
    Method("SelfGAN", "Chen, Zhai, Ritter, Lucic, Houlsby, CVPR 2019", _M, "--task gan --task.objective hinge"),
    Method("ColorfulColorization", "Zhang, Isola, Efros, ECCV 2016", _G, "--task colorization"),
    Method(
        "Colorization",
        "Larsson, Maire, Shakhnarovich, CVPR 2017",
        _G,
        "--task colorization --task.hypercolumn --task.rebalance 0",
        "bins of a and b instead of histograms of hue and chroma",
    ),
    Method(
        "AutoColor",
        "Larsson, Maire, Shakhnarovich, ECCV 2016",
        _G,
        "--task colorization --task.hypercolumn --task.rebalance 0 --encoder vgg16",
        "bins of a and b instead of histograms of hue and chroma",
    ),
    Method("Split-Brain", "Zhang, Isola, Efros, CVPR 2017", _G, "--task split_brain"),
    Method("Context Encoder", "Pathak et al., CVPR 2016", _G, "--task inpainting --task.adversarial 0.001"),
    Method(
        "CompletNet",
        "Iizuka, Simo-Serra, Ishikawa, SIGGRAPH 2017",
        _G,
        "",
        "a tool for image editing whose features were never transferred; `inpainting --task.adversarial 0.001` trains "
        "with one discriminator instead of a global and a local one",
    ),
    Method("SRGAN", "Ledig et al., CVPR 2017", _G, "--task super_resolution"),
    Method("SpotArtifacts", "Jenni, Favaro, CVPR 2018", _G, "--task artifacts"),
    Method(
        "ImproveContext",
        "Mundhenk, Ho, Chen, CVPR 2018",
        _C,
        "--task context_prediction --task.colour project",
        "without yoked jitter, random apertures and further configurations of patches",
    ),
    Method("Context Prediction", "Doersch, Gupta, Efros, ICCV 2015", _C, "--task context_prediction"),
    Method("Jigsaw", "Noroozi, Favaro, ECCV 2016", _C, "--task jigsaw --task.permutations 1000"),
    Method(
        "Damaged Jigsaw",
        "Kim, Cho, Yoo, Kweon, WACV 2018",
        _M,
        "--task jigsaw+inpainting+colorization",
        "each task on inputs of its own instead of on one damaged puzzle",
    ),
    Method(
        "Arbitrary Jigsaw",
        "Wei et al., CVPR 2019",
        _C,
        "",
        "predicts unary and pairwise terms and reorganises the tiles step by step; `jigsaw` has one grid and a list of "
        "permutations",
    ),
    Method(
        "DeepPermNet",
        "Santa Cruz, Fernando, Cherian, Gould, CVPR 2017",
        _C,
        "--task jigsaw --task.target matrix",
    ),
    Method("RotNet", "Gidaris, Singh, Komodakis, ICLR 2018", _C, "--task rotation"),
    Method(
        "Boosting",
        "Noroozi, Vinjimoor, Favaro, Pirsiavash, CVPR 2018",
        _M,
        "--task jigsaw --task.permutations 701 --task.occluded 2 --task.grey 0.7",
        "its Jigsaw++; the clusters of these features are not taught to a second network",
    ),
    Method(
        "JointCluster",
        "Yang, Parikh, Batra, CVPR 2016",
        _C,
        "",
        "merges clusters step by step, which is quadratic in the number of images; `clustering` and "
        "`deep_embedded_clustering` also learn clusters and features together",
    ),
    Method("DeepCluster", "Caron, Bojanowski, Joulin, Douze, ECCV 2018", _C, "--task clustering"),
    Method("ClusterEmbedding", "Xie, Girshick, Farhadi, ICML 2016", _C, "--task deep_embedded_clustering"),
    Method("GraphConstraint", "Li et al., ECCV 2016", _C, "--task graph_constraint"),
    Method("Ranking", "Wang, Gupta, ICCV 2015", _C, "--task tracked_patches --encoder alexnet"),
    Method("PredictNoise", "Bojanowski, Joulin, ICML 2017", _C, "--task noise_as_targets"),
    Method(
        "MultiTask",
        "Doersch, Zisserman, ICCV 2017",
        _M,
        "--task context_prediction+colorization+moving_object",
        "on frames of videos; without exemplar, whose classes are the images, and the choice of layers by a lasso",
    ),
    Method("Learning2Count", "Noroozi, Pirsiavash, Favaro, ICCV 2017", _C, "--task counting"),
    Method("Watching Move", "Pathak, Girshick, Dollár, Darrell, Hariharan, CVPR 2017", _F, "--task moving_object"),
    Method("Edge Detection", "Li, Paluri, Rehg, Dollár, CVPR 2016", _F, "--task contour"),
    Method("Cross Domain", "Ren, Lee, CVPR 2018", _F, "--task synthetic_labels --task.real PHOTOS"),
)
"""Table II: 32 methods that learn from images."""

VIDEOS = (
    Method("VideoGAN", "Vondrick, Pirsiavash, Torralba, NIPS 2016", _G, "--task video_gan"),
    Method("MocoGAN", "Tulyakov, Liu, Yang, Kautz, CVPR 2018", _G, "--task motion_content_gan"),
    Method("TemporalGAN", "Saito, Matsumoto, Saito, ICCV 2017", _G, "--task temporal_gan"),
    Method("Video Colorization", "Vondrick et al., ECCV 2018", _G, "--task video_colorization"),
    Method(
        "Un-LSTM",
        "Srivastava, Mansimov, Salakhutdinov, ICML 2015",
        _G,
        "--task video_prediction --task.model lstm",
    ),
    Method("ConvLSTM", "Shi et al., NIPS 2015", _G, "--task video_prediction --task.model convlstm"),
    Method("MCNet", "Villegas et al., ICLR 2017", _G, "--task video_prediction --task.model mcnet"),
    Method(
        "LSTMDynamics",
        "Luo et al., CVPR 2017",
        _G,
        "",
        "predicts quantised 3-D flows of RGB-D videos, which need a depth camera; `video_prediction` predicts frames",
    ),
    Method("Video Jigsaw", "Ahsan, Madhok, Essa, WACV 2019", _C, "--task video_jigsaw --task.permutations 1000"),
    Method("Transitive", "Wang, He, Gupta, ICCV 2017", _C, "--task transitive"),
    Method("3DRotNet", "Jing, Yang, Liu, Tian, 2018", _C, "--task clip_rotation --encoder r3d_18"),
    Method("CubicPuzzles", "Kim, Cho, Kweon, AAAI 2019", _C, "--task cubic_puzzle --encoder r3d_18"),
    Method("ShuffleLearn", "Misra, Zitnick, Hebert, ECCV 2016", _C, "--task frame_order_verification"),
    Method("LSTMPermute", "Brattoli, Büchler, Wahl, Schwab, Ommer, CVPR 2017", _C, "--task sequence_permutation"),
    Method("OPN", "Lee, Huang, Singh, Yang, ICCV 2017", _C, "--task frame_order_recognition"),
    Method("O3N", "Fernando, Bilen, Gavves, Gould, CVPR 2017", _C, "--task odd_one_out"),
    Method("ArrowTime", "Wei, Lim, Zisserman, Freeman, CVPR 2018", _C, "--task arrow_of_time"),
    Method("TemporalCoherence", "Jayaraman, Grauman, CVPR 2016", _C, "--task temporal_coherence"),
    Method(
        "FlowNet",
        "Dosovitskiy et al., ICCV 2015",
        _X,
        "",
        "is trained on the true flow of rendered frames, which `world` gives to a task of one's own "
        '(`Given("flow")`); `unsupervised_flow` trains a network of this kind on real videos',
    ),
    Method(
        "FlowNet2",
        "Ilg et al., CVPR 2017",
        _X,
        "",
        "is a stack of several FlowNets, trained on true flow one after the other",
    ),
    Method("UnFlow", "Meister, Hur, Roth, AAAI 2018", _X, "--task unsupervised_flow"),
    Method("CrossPixel", "Mahendran, Thewlis, Vedaldi, ACCV 2018", _X, "--task flow_similarity"),
    Method("CrossModel", "Sayed, Brattoli, Ommer, GCPR 2018", _X, "--task rgb_flow"),
    Method("AVTS", "Korbar, Tran, Torresani, NIPS 2018", _X, "--task audio_visual_sync"),
    Method("AudioVisual", "Owens, Efros, ECCV 2018", _X, "--task audio_visual_alignment"),
    Method(
        "LookListenLearn",
        "Arandjelović, Zisserman, ICCV 2017",
        _X,
        "--task audio_visual --task.same-video 0",
    ),
    Method("AmbientSound", "Owens, Wu, McDermott, Freeman, Torralba, ECCV 2016", _X, "--task ambient_sound"),
    Method("EgoMotion", "Zhou, Brown, Snavely, Lowe, CVPR 2017", _X, "--task view_synthesis --task.ssim 0"),
    Method("LearnByMove", "Agrawal, Carreira, Malik, ICCV 2015", _X, "--task egomotion"),
    Method("TiedEgoMotion", "Jayaraman, Grauman, ICCV 2015", _X, "--task egomotion_equivariance"),
    Method("GoNet", "Yin, Shi, CVPR 2018", _X, "--task view_synthesis --task.residual"),
    Method(
        "DepthFlow",
        "Zou, Luo, Huang, ECCV 2018",
        _X,
        "--task view_synthesis --task.residual",
        "one flow network on top of the rigid flow, without the loss that ties it to a second one in rigid regions",
    ),
    Method("VisualOdometry", "Iyer et al., CVPRW 2018", _X, "--task view_synthesis --task.compose 1"),
    Method(
        "ActiveStereoNet",
        "Zhang et al., ECCV 2018",
        _X,
        "",
        "needs pairs of infrared images of a stereo camera that projects a pattern",
    ),
)
"""Table III: 34 methods that learn from videos."""

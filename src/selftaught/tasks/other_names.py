"""What other libraries and papers call a task, and which one here is nearest to it. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping

_NEAREST: Mapping[str, str] = {
    "autoencoder": "ae denoisingautoencoder dae vae",
    "colorization": "colorful colorfulcolorization colorisation coloration",
    "inpainting": "contextencoder contextencoders",
    "gan": "dcgan wgan ssgan",
    "bigan": "ali bigbigan",
    "mae": "simmim beit ibot data2vec maskedautoencoder mim maskfeat ijepa pixmim",
    "jigsaw": "pirl jigsawpuzzle jigsawpuzzles",
    "context_prediction": "relativelocation relativepatchlocation relativeposition patchlocation",
    "rotation": "rotnet rotationprediction imagerotation",
    "transformation": "aet autoencodingtransformations",
    "exemplar": "exemplarcnn npid instancediscrimination ir instdisc",
    "clustering": "deepcluster swav pcl odc sela selavi protonce msn smog",
    "deep_embedded_clustering": "dec",
    "noise_as_targets": "nat",
    "simclr": "simsiam barlowtwins vicreg vicregl nnclr wmse tico directclr supcon ressl dcl dclw fastsiam contrastive",
    "moco": "byol mocov2plus densecl dino dinov2 dinov3 lejepa mugs esvit pixpro",
    "distill": "distillation distillationv1 distillationv2 lightlytrain seed compress knowledgedistillation",
    "video_mae": "videomae maemst maest",
    "video_simclr": "cvrl pace vince",
    "dense_prediction": "cpc dpc memdpc contrastivepredictivecoding",
    "frame_order_verification": "shuffleandlearn shufflelearn",
    "sequence_permutation": "opn orderprediction",
    "frame_order_recognition": "frameorder",
    "clip_order": "vcop vcp",
    "odd_one_out": "o3n oddoneoutnetwork",
    "arrow_of_time": "aot tcam",
    "clip_rotation": "3drotnet rotnet3d",
    "cubic_puzzle": "stpuzzle 3dcubicpuzzle spacetimecubicpuzzles stcubicpuzzle",
    "playback_rate": "speednet prp pacepred paceprediction videospeed",
    "temporal_coherence": "tcn sfa timecontrastive",
    "video_colorization": "trackingemerges crw cycletime",
    "video_gan": "vgan",
    "temporal_gan": "tgan",
    "motion_content_gan": "mocogan",
    "audio_visual": "l3net avc l3 objectsthatsound avid",
    "audio_visual_sync": "avts",
    "ambient_sound": "ambientsound soundprediction",
    "view_synthesis": "sfmlearner monodepth monodepth2 geonet",
    "unsupervised_flow": "unflow uflow arflow",
    "moving_object": "watchingobjectsmove unlc",
}


def nearest_task(name: str) -> str | None:
    """The task that is nearest to what others call by this name, as `BYOL`, `moco-v2` or `barlow_twins`; or None."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    known = {other: task for task, names in _NEAREST.items() for other in (task.replace("_", ""), *names.split())}
    return known.get(plain) or known.get(re.sub(r"v\d+$", "", plain))

"""COCO's own keypoint evaluation on the pictures that `keypoint_ap` takes."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from astra_jax.pose.average_precision import FoundPeople, TruePeople

NAMES = ("AP", "AP50", "AP75", "APm", "APl", "AR", "AR50", "AR75", "ARm", "ARl")


def figures(pictures: Sequence[tuple[TruePeople, FoundPeople]]) -> dict[str, float]:
    """What `COCOeval` says."""
    annotations, results = [], []
    for image, (truth, found) in enumerate(pictures, 1):
        rows = zip(truth.people, truth.areas, truth.boxes, truth.crowd, strict=True)
        for person, area, box, crowd in rows:
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": 1, "iscrowd": int(crowd)}
                | {"area": float(area), "bbox": box.tolist(), "keypoints": person.ravel().tolist()}
                | {"num_keypoints": int((person[:, 2] > 0).sum())}
            )
        for guess, score in zip(found.people, found.scores, strict=True):
            results.append({"image_id": image, "category_id": 1, "keypoints": guess.ravel().tolist()})
            results[-1]["score"] = float(score)
    coco = COCO()
    images = [{"id": i + 1} for i in range(len(pictures))]
    coco.dataset = {"info": {}, "images": images, "categories": [{"id": 1}], "annotations": annotations}
    with contextlib.redirect_stdout(io.StringIO()):
        coco.createIndex()
        evaluation = COCOeval(coco, coco.loadRes(results), "keypoints")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(NAMES, np.array(evaluation.stats).tolist(), strict=True))

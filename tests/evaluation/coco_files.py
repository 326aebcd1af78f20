"""Annotation files in COCO's form: a few pictures of people who stand at whole pixels, with captions."""

import json

import numpy as np

HEIGHT, WIDTH = 200, 300
STANDING = np.array(
    [(50, 12), (53, 9), (47, 9), (57, 11), (43, 11), (62, 25), (38, 25), (66, 42), (34, 42), (68, 58), (32, 58),
     (58, 56), (42, 56), (58, 75), (42, 75), (58, 94), (42, 94)]
)  # fmt: skip
# Id -> where people stand (x of the left edge), how far their left wrist is moved, and what is said.
PICTURES = {
    11: ([20], [0], ["A man on a beach.", "A man waving hello with one hand."]),
    12: ([10, 150], [40, 0], ["Two people waving.", "A woman waving at a man.", "People in a park."]),
    13: ([30], [90], ["A boy throwing a ball."]),
    14: ([0, 100, 190], [0, 0, 60], ["A man, a woman and a girl dancing."]),
}


def joints(left, moved=0):
    """17 visible joints of somebody in a box of 108 x 180 pixels with its left edge at `left`."""
    points = np.concatenate([STANDING * 2 - [60, 0] + [left, 4], np.full((17, 1), 2)], axis=1)
    points[9, 1] -= moved
    return points


def annotation(number, image, points, **changes):
    """One person."""
    left, top = points[:, :2].min(axis=0) - 4
    row = {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": 17}
    row |= {"bbox": [float(left), float(top), 108.0, 180.0], "area": 10000.0, "keypoints": points.ravel().tolist()}
    return row | changes


def write_coco(folder, more=()):
    """person_keypoints_val2017.json (with `more` annotations) and captions_val2017.json of PICTURES; their paths."""
    people, captions = list(more), []
    for image, (places, moved, texts) in PICTURES.items():
        for place, wrist in zip(places, moved, strict=True):
            people.append(annotation(1000 + len(people), image, joints(place, wrist)))
        captions += [{"id": image * 10 + i, "image_id": image, "caption": text} for i, text in enumerate(texts)]
    images = [{"id": image, "height": HEIGHT, "width": WIDTH} for image in PICTURES]
    keypoints, said = folder / "person_keypoints_val2017.json", folder / "captions_val2017.json"
    keypoints.write_text(json.dumps({"images": images, "annotations": people}))
    said.write_text(json.dumps({"images": images, "annotations": captions}))
    return keypoints, said


def write_list(folder, rows):
    """images.txt and captions.txt of (image, caption) rows."""
    folder.mkdir(exist_ok=True)
    for name, column in zip(("images", "captions"), zip(*rows, strict=True), strict=True):
        (folder / f"{name}.txt").write_text("".join(f"{number}\n" for number in column))
    return folder

"""Coco_pose: the entries of a pose bank as a TFDS data set."""

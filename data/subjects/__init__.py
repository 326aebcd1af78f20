"""Subjects: a manifest of pictures, the photos they are made from, prompts and poses as a TFDS data set."""

"""The requests that `sample.py` draws when it is asked for nothing, with photos of people the model never saw."""

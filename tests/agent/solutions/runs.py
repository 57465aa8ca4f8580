from itertools import groupby


def encode_runs(text):
    return "".join(f"{len(list(run))}{letter}" for letter, run in groupby(text))

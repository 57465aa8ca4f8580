"""One file an objective. Each says what it does to the inputs, which states it weighs, or what its loss is.

Block corruptions (`draft`, `infill`, `edit`) share one signature: `corrupt(truth_KB, inside_KB, ids,
mask_id, rng, ...) -> (inputs_KB, weight_KB)`, over K blocks whose first token stays visible.
"""

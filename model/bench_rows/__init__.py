"""Groups of rows of `model bench`; model.bench says what a group is."""

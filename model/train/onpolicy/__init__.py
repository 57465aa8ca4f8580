"""On-policy learning: the heads' own attempts at tasks, judged, become rows of the training batch."""

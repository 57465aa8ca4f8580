"""How a run is shown: progress bar, tables, and one self-contained HTML page."""

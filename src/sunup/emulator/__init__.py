"""An AWS that fits on a laptop."""

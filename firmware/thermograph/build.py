"""When this firmware was built: a clock that shows less is not set. Written anew with each release."""

BUILT = 1761955200000  # Unix ms: 2025-11-01

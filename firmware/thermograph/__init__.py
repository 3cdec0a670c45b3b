"""Thermograph's firmware: every reading accounted for, from the sensor's pin to the application ack."""

VERSION = "0.1.0"
BUILT = 1761955200000  # Unix ms, 2025-11-01: a clock that shows less is not set. Written anew with each release.

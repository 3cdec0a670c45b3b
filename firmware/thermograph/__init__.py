"""Thermograph's firmware: every reading accounted for, from the sensor's pin to the application ack."""

VERSION = "0.1.0"

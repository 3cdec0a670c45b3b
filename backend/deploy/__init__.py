"""Thermograph on AWS. README.md says what is here; of Python there is only what the host and its costs need."""

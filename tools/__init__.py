"""Commands for people who build, flash and look after Thermograph: `python -m tools --help`. README.md lists them."""

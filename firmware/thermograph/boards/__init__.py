"""The only importers of what belongs to one board: machine, network, os, signals, files."""

"""Alerts: rules over channels, and the episodes that they make. README.md says what holds."""

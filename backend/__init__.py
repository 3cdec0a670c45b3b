"""Thermograph's backend: everything between the MQTT broker and the S3 object. README.md in this folder is its map."""

"""The gateway: sensors that only know sockets or HTTP come in, wire v1 goes out. README.md here has the map."""

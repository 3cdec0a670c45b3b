"""One chip a file; a driver is handed its bus."""

"""What the backend tells the broker besides acks: newest values, Home Assistant's discovery, wanted settings."""

"""Ways to tell somebody: mail and webhooks. Each sends one Notice once, or raises DeliveryFailed."""

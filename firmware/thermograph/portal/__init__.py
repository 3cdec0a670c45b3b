"""Setup without a cable: an access point with a captive portal. Imported only while it is open."""

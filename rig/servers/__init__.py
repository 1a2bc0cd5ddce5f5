"""Start servers, fleets, databases, proxies and gateways, and end all that was started."""

"""The follower that carries the change feed into the live index."""

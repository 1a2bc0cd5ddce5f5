"""The page for people affected, and the gateway that serves it: ``disrupt web``."""

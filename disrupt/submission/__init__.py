"""The submission client for victims."""

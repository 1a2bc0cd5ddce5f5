"""Submission client and commands for people affected."""

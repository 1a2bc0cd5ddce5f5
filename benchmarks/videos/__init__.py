"""What is found of edited videos, and what it costs."""

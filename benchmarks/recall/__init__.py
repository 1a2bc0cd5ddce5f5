"""What is found of edited pictures, and what is matched that should not be."""

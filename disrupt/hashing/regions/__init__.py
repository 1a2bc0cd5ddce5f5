"""Where in a picture another may be, and the crops and turns of it that are hashed."""

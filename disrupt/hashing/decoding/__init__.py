"""Picture and video files to pixels: what is accepted, what is refused and why."""

"""What keeps the disk in order: erasure, compaction, and looks at what it holds."""

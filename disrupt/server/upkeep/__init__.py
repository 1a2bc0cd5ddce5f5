"""What operators and housekeeping do to what is stored: keys, erasure, restore."""

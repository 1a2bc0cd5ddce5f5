"""Pure rules: hashes, transforms and plans, media items, cases, banks and changes. No I/O, no clock."""

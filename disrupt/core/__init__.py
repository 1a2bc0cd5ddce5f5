"""Pure rules: hashes, transforms, media items, cases, banks and changes. No I/O, no clock."""

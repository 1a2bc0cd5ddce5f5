"""How distinctive a hash is, and so how near another has to be to match."""

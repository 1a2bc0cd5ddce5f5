"""How much a hash says, and so how near another has to be."""

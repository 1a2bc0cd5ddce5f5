"""Systems under load that faults befall, whose answers a model judges: where proofs play."""

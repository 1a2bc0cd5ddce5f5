"""Operations on stored data for operators and housekeeping: keys, erasure, restore."""

"""What must be true of a system: naive models, state machines and checks of what is stored."""

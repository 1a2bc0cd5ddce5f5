"""What stands before every call, in each process that answers any."""

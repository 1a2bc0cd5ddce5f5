"""What stands in the writer's place on a mirror: it writes what the hotline's feed brings."""

"""What stands in the writer's place on a machine that only answers lookups."""

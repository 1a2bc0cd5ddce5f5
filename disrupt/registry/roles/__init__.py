"""The roles of a registry, which ``contract`` puts together: a module for each."""

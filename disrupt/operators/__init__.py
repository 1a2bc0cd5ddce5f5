"""Commands of operators, beside the server or without one."""

"""Admission: bound what each caller may take, while its messages come and before any work."""

"""Servicers, which answer calls, and interceptors, which hold for every call."""

"""The desk: the hotline's staff review in a browser, signed in by passkeys: ``disrupt desk``."""

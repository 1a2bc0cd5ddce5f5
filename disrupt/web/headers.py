"""The headers of every answer."""

from __future__ import annotations

_POLICY = (
    "default-src 'none'",
    "script-src 'self' 'wasm-unsafe-eval'",
    "style-src 'self'",
    "img-src 'self' blob:",
    "media-src blob:",
    "connect-src 'self'",
    "worker-src 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "form-action 'none'",
)

_DENIED = (
    *("accelerometer", "ambient-light-sensor", "attribution-reporting", "autoplay", "bluetooth"),
    *("browsing-topics", "camera", "clipboard-read", "compute-pressure", "display-capture"),
    *("encrypted-media", "fullscreen", "gamepad", "geolocation", "gyroscope", "hid"),
    *("identity-credentials-get", "idle-detection", "local-fonts", "magnetometer", "microphone"),
    *("midi", "otp-credentials", "payment", "picture-in-picture", "publickey-credentials-create"),
    *("publickey-credentials-get", "screen-wake-lock", "serial", "storage-access", "sync-xhr"),
    *("unload", "usb", "web-share", "window-management", "xr-spatial-tracking"),
)
"""Features that a page could misuse, as browsers name them, and not ``clipboard-write``: the page
copies number and PIN when asked."""

HEADERS = (
    ("Content-Security-Policy", "; ".join(_POLICY)),
    ("Permissions-Policy", ", ".join(f"{feature}=()" for feature in _DENIED)),
    ("Referrer-Policy", "no-referrer"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-DNS-Prefetch-Control", "off"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Embedder-Policy", "require-corp"),
)
"""No Strict-Transport-Security: browsers keep the name of the site, and people are watched."""

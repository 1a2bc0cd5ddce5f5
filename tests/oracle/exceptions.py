"""Files of which what is hashed is not what Chromium shows, by reason."""

from __future__ import annotations

Table = dict[str, set[str]]

DIFFERS_TODAY: Table = {
    "a curve whose break point is negative makes a profile one to pass over": {
        "JPEG: profile, para 1",
        "JPEG: profile, para 2",
        "PNG colours: profile, para 1",
        "PNG colours: profile, para 2",
    },
    "LittleCMS and Chromium interpolate a table of the corners alone otherwise": {
        "PNG colours: table A2B1"
    },
    "frames have alpha without a flag": {"WebP: animated, no alpha told"},
    "an interlaced file that is cut is shown whole, with rows repeated": {
        "PNG damage: interlaced, cut at 60%",
        "GIF: interlaced, cut at 60%",
    },
    "a mask of alpha counts though other masks are not used": {"BMP: 32 bits, masks unused, faded"},
    "the clean aperture that begins at the corner is registered": {"AVIF: clap at the corner"},
    "colours that are said to have been multiplied by alpha, and are more than it": {
        "AVIF: faded, said to be premultiplied"
    },
}
"""Files of which another picture is hashed: what mends one takes its name out of here."""

COUNTED_AS_SKIPPED: Table = {
    "colours that cannot be told are not registered": {
        "JPEG: profile, curve of 40 000",
        "PNG colours: profile, curve of 40 000",
        "PNG colours: cICP PQ",
        "PNG colours: cICP HLG",
        "PNG colours: cICP PQ of sRGB",
        "AVIF: nclx PQ",
        "AVIF: nclx HLG",
    },
    "of a frame that is cut nothing is hashed": {
        "PNG damage: animated, hidden image, first frame cut"
    },
}
"""Files of which another picture is hashed, and a lookup is told that something was skipped."""

HASHED_OTHERWISE: Table = {
    "Chromium leaves out the last row of blocks, 8 or 16 of all rows": {
        "JPEG: no end",
        "JPEG: half an end",
        "JPEG: plain, cut at 95%",
    },
    "Chromium shows an even black": {"GIF: no palette"},
}
"""Files of which more is hashed than Chromium shows."""

REFUSED: Table = {
    "BMP files that end early, of which Chromium shows what there is": {
        "BMP: runs that end early",
        "BMP: cut at 30%",
        "BMP: cut at 60%",
        "BMP: cut at 95%",
        "BMP: pixels say they start elsewhere",
    },
    "icons": {"Others: icon of PNG", "Others: icon of BMP"},
    "kinds of BMP that Pillow does not read": {
        "BMP: 2 bits",
        "BMP: 16 bits of 444",
        "BMP: 32 bits, BI_ALPHABITFIELDS, opaque",
        "BMP: 32 bits, BI_ALPHABITFIELDS, faded",
        "BMP: 32 bits, red last",
    },
}
"""Files that are refused, and of which Chromium shows something."""

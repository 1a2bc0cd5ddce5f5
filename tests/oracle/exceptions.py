"""Files of which what is hashed is not what Chromium shows, by reason."""

from __future__ import annotations

Table = dict[str, set[str]]

DIFFERS_TODAY: Table = {
    "only one value of type SHORT is an orientation": {
        "JPEG: orientation, 2 SHORT",
        "JPEG: orientation, 1 LONG",
        "JPEG: orientation, 1 SBYTE",
        "JPEG: orientation, 2 SBYTE",
        "JPEG: orientation, 1 SSHORT",
        "JPEG: orientation, 2 SSHORT",
        "JPEG: orientation, 1 SLONG",
        "JPEG: orientation, LONG, big-endian",
        "JPEG: orientation, twice, LONG first",
        "PNG: eXIf, LONG",
        "PNG: eXIf, SSHORT",
        "PNG: eXIf, 2 SHORT",
    },
    "the last byte of the prefix of EXIF counts for nothing": {
        r"JPEG: orientation, prefix b'Exif\x00\xff'"
    },
    "eXIf has no prefix, and comes before the pixels": {
        "PNG: eXIf, with a prefix",
        "PNG: eXIf after the pixels",
    },
    "of two whole profiles the first counts": {"JPEG: profile twice"},
    "a curve whose break point is negative makes a profile one to pass over": {
        "JPEG: profile, para 1",
        "JPEG: profile, para 2",
        "PNG colours: profile, para 1",
        "PNG colours: profile, para 2",
    },
    "indices beyond a palette have its last colour": {
        "PNG: palette of 200, indices beyond",
        "PNG: palette of 100, indices beyond",
    },
    "tRNS before the palette counts for nothing": {"PNG: palette, alpha before it"},
    "cHRM that is no triangle makes gAMA count for nothing": {
        "PNG colours: gAMA 0.7, cHRM of zeros",
        "PNG colours: gAMA 0.7, cHRM of one point",
    },
    "sRGB and profiles that are damaged are passed over for gAMA": {
        "PNG colours: sRGB of an unknown intent, gAMA 0.7",
        "PNG colours: gAMA 0.7, damaged profile",
    },
    "a profile has a name of 1 to 79 bytes": {
        "PNG colours: profile of no name",
        "PNG colours: profile of a long name",
    },
    "colours count after the palette, too": {
        "PNG colours: gAMA 0.7 after the palette",
        "PNG colours: profile after the palette",
    },
    "cICP and nclx are taken for sRGB": {
        "PNG colours: cICP Display P3",
        "PNG colours: cICP BT.2020",
        "PNG colours: cICP gamma 2.8",
        "PNG colours: cICP linear",
        "PNG colours: cICP PQ",
        "PNG colours: cICP HLG",
        "PNG colours: cICP PQ of sRGB",
        "PNG colours: cICP linear, 16 bits",
        "PNG colours: cICP linear, grey",
        "PNG colours: cICP linear, alpha",
        "PNG colours: cICP linear, palette",
        "AVIF: nclx Display P3",
        "AVIF: nclx BT.2020",
        "AVIF: nclx linear",
        "AVIF: nclx gamma 2.8",
        "AVIF: nclx PQ",
        "AVIF: nclx HLG",
    },
    "unspecified cICP leaves it to the profile": {
        "PNG colours: cICP unspecified, profile",
    },
    "frames have alpha without a flag, and a profile of an animation is passed over": {
        "WebP: animated, no alpha told",
        "WebP: animated, first frame a part, no alpha told",
        "WebP: animated, with profile",
    },
    "the row in which a file is cut counts as whole": {"GIF: cut at 60%"},
    "an interlaced file that is cut is shown whole, with rows repeated": {
        "PNG damage: interlaced, cut at 60%",
        "GIF: interlaced, cut at 60%",
    },
    "of two controls the second counts": {"GIF: two controls"},
    "a mask of alpha counts though other masks are not used": {"BMP: 32 bits, masks unused, faded"},
    "the clean aperture that begins at the corner is registered": {"AVIF: clap at the corner"},
    "colours that are said to have been multiplied by alpha, and are more than it": {
        "AVIF: faded, said to be premultiplied"
    },
}
"""Files of which another picture is hashed: what mends one takes its name out of here."""

HASHED_OTHERWISE: Table = {
    "Chromium leaves out the last row of blocks, 8 or 16 of all rows": {
        "JPEG: no end",
        "JPEG: half an end",
        "JPEG: plain, cut at 95%",
    },
    "a cut frame counts as skipped": {"PNG damage: animated, hidden image, first frame cut"},
    "Chromium shows an even black": {"GIF: no palette"},
}
"""Files of which more is hashed than Chromium shows, or which say what was not looked at."""

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

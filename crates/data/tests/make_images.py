"""Makes the small pictures in images/ and images/expected.txt: what Pillow decodes them to.

Run with any Python that has Pillow, in this directory:  python make_images.py
A line is: file, tolerance (largest mean difference of levels), mode, h, w, bytes in hexadecimal.
Transparency is laid over white and the EXIF orientation applied, as the crate does.
"""

import io
import os
import struct

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


def palette_grey(bits):
    """Grey levels that so many bits can hold."""
    step = 255 // (2**bits - 1)
    return picture("L").point(lambda v: v // 64 * step)


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
    ("ycck.jpg", picture("CMYK"), 1.5, {"quality": 95}),
    ("subsampled.jpg", picture("RGB"), 3.0, {"quality": 90, "subsampling": "4:2:0"}),
    ("rgb16.png", picture("RGB"), 0, {}),
    ("rgba16.png", picture("RGBA"), 0.6, {}),
    ("bits2.png", palette_grey(2), 0, {}),
    ("interlaced.png", picture("RGB"), 0, {}),
    ("turned.webp", picture("RGB"), 0, {"lossless": True, "exif": exif}),
    ("rgb.tif", picture("RGB"), 0, {}),
    ("grey.tif", picture("L"), 0, {"compression": "packbits"}),
    ("white_is_zero.tif", picture("L"), 0, {"tiffinfo": {262: 0}}),
    ("bits1.tif", picture("L").convert("1"), 0, {"compression": "group4"}),
    ("palette.tif", palette, 0, {"compression": "tiff_lzw"}),
    ("rgba.tif", picture("RGBA"), 0.6, {"compression": "tiff_adobe_deflate"}),
    ("premultiplied.tif", picture("RGBA"), 1.0, {}),
    ("grey_alpha.tif", picture("LA"), 0.6, {}),
    ("grey16.tif", deep, 0, {"compression": "tiff_lzw"}),
    ("rgb16.tif", picture("RGB"), 0, {}),
    ("planes.tif", picture("RGB"), 0, {}),
    ("tiles.tif", picture("RGB"), 0, {}),
    ("cmyk.tif", picture("CMYK"), 0, {}),
    ("jpeg.tif", picture("RGB"), 1.5, {"compression": "jpeg", "quality": 95}),
    ("turned.tif", picture("RGB"), 0, {"tiffinfo": {274: 6}}),
    ("big_endian.tif", picture("RGB"), 0, {}),
]


def tiff(w, h, tags, data, order="<", chunks=1):
    """A TIFF of one page: `tags` as {tag: list of 16-bit values}, the data in equal strips or tiles."""
    tags = {256: [w], 257: [h], **tags}
    offsets, counts = (324, 325) if 322 in tags else (273, 279)
    size = len(data) // chunks
    entries = {t: ("H", v) for t, v in tags.items()}
    entries[offsets] = ("I", [8 + i * size for i in range(chunks)])
    entries[counts] = ("I", [size] * chunks)
    directory, beside = b"", b""
    start = 8 + len(data)
    end = start + 2 + 12 * len(entries) + 4
    for tag, (kind, values) in sorted(entries.items()):
        raw = struct.pack(f"{order}{len(values)}{kind}", *values)
        if len(raw) > 4:
            at = end + len(beside)
            beside += raw
            raw = struct.pack(order + "I", at)
        directory += struct.pack(order + "HHI", tag, 3 if kind == "H" else 4, len(values)) + raw.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return head + data + struct.pack(order + "H", len(entries)) + directory + bytes(4) + beside


def png(w, h, kind, depth, rows, interlaced=False):
    """A PNG of unfiltered rows, for the forms that Pillow does not write."""
    import zlib

    chunk = lambda name, body: struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
    header = struct.pack(">IIBBBBB", w, h, depth, kind, 0, 0, interlaced)
    body = zlib.compress(b"".join(b"\0" + r for r in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


def write(name, image, options):
    """Forms that Pillow reads but does not write are put together here."""
    pixels = image.tobytes()
    n = len(image.getbands())
    wide = lambda order: struct.pack(f"{order}{len(pixels)}H", *(v * 256 + 77 for v in pixels))
    base = {258: [8] * n, 259: [1], 262: [2], 277: [n]}
    if name == "ycck.jpg":
        # The same data, declared as YCCK: Adobe's transform 2.
        out = io.BytesIO()
        image.save(out, "jpeg", **options)
        data = bytearray(out.getvalue())
        data[data.index(b"Adobe") + 11] = 2
    elif name in ("rgb16.png", "rgba16.png"):
        row = W * n * 2
        data = png(W, H, 2 if n == 3 else 6, 16, [wide(">")[y * row :][:row] for y in range(H)])
    elif name == "bits2.png":
        data = png(W, H, 0, 2, [bytes(sum((v // 85) << (6 - 2 * k) for k, v in enumerate(pixels[i : i + 4])) for i in range(y * W, (y + 1) * W, 4)) for y in range(H)])
    elif name == "interlaced.png":
        rows = []
        for x0, y0, dx, dy in ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)):
            rows += [b"".join(bytes(image.getpixel((x, y))) for x in range(x0, W, dx)) for y in range(y0, H, dy) if x0 < W]
        data = png(W, H, 2, 8, rows, True)
    elif name == "premultiplied.tif":
        data = tiff(W, H, {**base, 338: [1]}, image.convert("RGBa").tobytes())
    elif name == "grey_alpha.tif":
        data = tiff(W, H, {**base, 262: [1], 338: [2]}, pixels)
    elif name == "rgb16.tif":
        data = tiff(W, H, {**base, 258: [16] * 3}, wide("<"))
    elif name == "planes.tif":
        data = tiff(W, H, {**base, 284: [2]}, b"".join(pixels[c::3] for c in range(3)), chunks=3)
    elif name == "tiles.tif":
        padded = Image.new("RGB", (16, 16))
        padded.paste(image)
        data = tiff(W, H, {**base, 322: [16], 323: [16]}, padded.tobytes())
    elif name == "big_endian.tif":
        data = tiff(W, H, base, pixels, ">")
    else:
        image.save(f"images/{name}", **options)
        return
    with open(f"images/{name}", "wb") as f:
        f.write(data)


with open("images/expected.txt", "w") as out:
    for name, image, tolerance, options in cases:
        write(name, image, options)
        back = Image.open(f"images/{name}")
        back.load()
        if back.mode == "I;16":
            want = Image.frombytes("L", (W, H), back.tobytes()[1::2])
        elif name == "rgba16.png":
            # Pillow reads the high bytes, as the crate does.
            want = over_white(back)
        elif back.mode == "LA":
            want = over_white(back).convert("L")
        elif back.mode == "1":
            want = back.convert("L")
        elif back.mode == "RGBA" or "transparency" in back.info:
            want = over_white(back)
        else:
            want = back.convert("L" if back.mode == "L" else "RGB")
        if "exif" in options or 274 in options.get("tiffinfo", {}):
            want = ImageOps.exif_transpose(back).convert("RGB")
        print(name, tolerance, want.mode, want.height, want.width, want.tobytes().hex(), file=out)

# Photographs' extents with little in them: for decoding at a fraction of the size. Odd on purpose.
os.makedirs("large", exist_ok=True)
small = Image.frombytes("RGB", (W, H), bytes((x * 37 + y * 91 + c * 53) % 256 for y in range(H) for x in range(W) for c in range(3)))
large = small.resize((601, 451), Image.Resampling.BICUBIC)
large.save("large/photo.jpg", quality=60)
large.save("large/turned.jpg", quality=60, exif=exif)
large.save("large/progressive.jpg", quality=60, progressive=True)
large.convert("L").save("large/grey.jpg", quality=60)
large.convert("CMYK").save("large/cmyk.jpg", quality=5)

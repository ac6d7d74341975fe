#!/usr/bin/env python3
"""Makes shards/: tar shards and Parquet files as others write them, for tests/sources.rs.

Needs pillow, webdataset, pyarrow. Every image is 8 × 8, PNG, of one grey level 10·i, so that a test knows what it reads.
"""
import io, json, pathlib, sys, tarfile

from PIL import Image

out = pathlib.Path(__file__).parent / "shards"
out.mkdir(exist_ok=True)


def png(i):
    b = io.BytesIO()
    Image.new("L", (8, 8), 10 * i).save(b, "png")
    return b.getvalue()


def tar(name, members, format):
    with tarfile.open(out / name, "w", format=format) as t:
        for path, data in members:
            info = tarfile.TarInfo(path)
            if data is None:
                info.type = tarfile.DIRTYPE
                t.addfile(info)
            else:
                info.size = len(data)
                t.addfile(info, io.BytesIO(data))


def shards():
    import webdataset

    # As `webdataset` writes them, labels as numbers, two shards, captions and metadata beside.
    with webdataset.ShardWriter(str(out / "wds-train-%06d.tar"), maxcount=3, verbose=0) as w:
        for i in range(5):
            w.write({"__key__": f"dir/{i:04d}", "png": png(i), "cls": i % 2, "json": {"label": 7}, "txt": "a caption"})
    with webdataset.ShardWriter(str(out / "wds-val-%06d.tar"), maxcount=9, verbose=0) as w:
        w.write({"__key__": "0009", "png": png(9), "cls": 1})
    # Names beyond 100 bytes in both extensions, folders as classes, `./` before all, entries that are no files.
    long = "n" * 120
    for name, format in [("folders-gnu.tar", tarfile.GNU_FORMAT), ("folders-pax.tar", tarfile.PAX_FORMAT)]:
        members = [("./", None), ("./bees", None), (f"./bees/{long}.png", png(1)), ("./ants/b.png", png(2)), ("./ants/README", b"text")]
        tar(name, members, format)
    # JSON and text labels as names; a file that is hidden.
    members = [(".DS_Store", b"x"), ("a.png", png(3)), ("a.json", b'{"label": "bee"}'), ("b.txt", b"ant\n"), ("b.png", png(4))]
    tar("names.tar", members, tarfile.USTAR_FORMAT)


def parquet():
    import pyarrow as pa
    import pyarrow.parquet as pq

    features = {
        "image": {"_type": "Image"},
        "label": {"names": ["ant", "bee"], "_type": "ClassLabel"},
    }
    info = {"huggingface": json.dumps({"info": {"features": features}})}
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])

    def rows(numbers):
        images = [{"bytes": png(i), "path": f"{i}.png"} for i in numbers]
        return pa.table(
            {"image": pa.array(images, image), "label": pa.array([i % 2 for i in numbers], pa.int64())},
        ).replace_schema_metadata(info)

    # As `datasets` writes them, in small row groups, with each codec.
    for codec in ["none", "snappy", "gzip", "brotli", "lz4", "zstd"]:
        pq.write_table(rows(range(7)), out / f"train-{codec}.parquet", compression=codec, row_group_size=3)
    pq.write_table(rows([8, 9]), out / "test-snappy.parquet")
    # Plain binary and text labels; pages of version 2; no dictionary.
    plain = pa.table({"img": pa.array([png(i) for i in range(4)], pa.binary()), "class": ["red", "blue", "red", "red"]})
    pq.write_table(plain, out / "plain.parquet", data_page_version="2.0", use_dictionary=False, compression="snappy")
    # A missing image and a missing label.
    hole = pa.table({"image": pa.array([png(1), None], pa.binary()), "label": pa.array([0, 1], pa.int32())})
    pq.write_table(hole, out / "no-image.parquet")
    hole = pa.table({"image": pa.array([png(1), png(2)], pa.binary()), "label": pa.array([0, None], pa.int32())})
    pq.write_table(hole, out / "no-label.parquet")


if __name__ == "__main__":
    shards()
    parquet()

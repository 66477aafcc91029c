#!/usr/bin/env python3
"""Reads SequenceFiles (docs/formats.md) with none of our code: `sequence_file.py FILE...` prints the lines.

  blocks(path)     of each block its keys (ms) and its values, as bytes
  Broken           it is none, or was cut
"""
import os
import struct
import subprocess
import sys
import zlib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from libsnappy import uncompressed  # noqa: E402

CODECS = {b"org.apache.hadoop.io.compress.GzipCodec": "gzip", b"org.apache.hadoop.io.compress.ZStandardCodec": "zstd",
          b"org.apache.hadoop.io.compress.SnappyCodec": "snappy"}
ESCAPE = b"\xff\xff\xff\xff"


class Broken(Exception):
    pass


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, size):
        if size > len(self.data) - self.at:
            raise Broken("it ends too early")
        self.at += size
        return self.data[self.at - size:self.at]

    def number(self, size):
        return int.from_bytes(self.take(size), "big")

    def vint(self):
        first, = struct.unpack("b", self.take(1))
        if first >= -112:
            return first
        if first < -120:
            raise Broken("a negative length")
        return self.number(-112 - first)

    def text(self):
        return self.take(self.vint())

    def done(self):
        return self.at == len(self.data)


def gunzip(data):
    member = zlib.decompressobj(31)
    raw = member.decompress(data)
    if not member.eof or member.unused_data:
        raise Broken("not one gzip member")
    return raw


def unzstd(data):
    done = subprocess.run(["zstd", "-dcq"], input=data, stdout=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Broken("zstd refuses it")
    return done.stdout


def unsnappy(data):
    """Blocks of Hadoop's, by libsnappy."""
    reader, raw = Reader(data), b""
    while not reader.done():
        end = reader.number(4) + len(raw)
        while len(raw) < end:
            try:
                raw += uncompressed(reader.take(reader.number(4)))
            except ValueError as e:
                raise Broken(e) from None
    return raw


UNPACK = {"gzip": gunzip, "zstd": unzstd, "snappy": unsnappy}


def header(reader):
    """The codec's name, None: records are not compressed; and the sync mark."""
    if reader.take(4) != b"SEQ\6":
        raise Broken("not a SequenceFile of version 6")
    classes = reader.text(), reader.text()
    if classes != (b"org.apache.hadoop.io.LongWritable", b"org.apache.hadoop.io.Text"):
        raise Broken("of other classes: %r" % (classes,))
    compressed = reader.take(2)
    codec = CODECS[reader.text()] if compressed == b"\1\1" else None
    if codec is None and compressed != b"\0\0":
        raise Broken("compressed, but not in blocks")
    if reader.number(4) != 0:
        raise Broken("it has metadata")
    return codec, reader.take(16)


def packed_block(reader, codec):
    count = reader.vint()
    lengths_of_keys, keys, lengths, values = (Reader(UNPACK[codec](reader.text())) for _ in range(4))
    if lengths_of_keys.data != b"\x08" * count:
        raise Broken("keys of other lengths")
    ends = [lengths.vint() for _ in range(count)]
    texts = []
    for length in ends:
        before = values.at
        texts.append(values.text())
        if values.at - before != length:
            raise Broken("a value of another length")
    times = struct.unpack(">%dq" % count, keys.data)
    if not (lengths.done() and values.done()):
        raise Broken("more in a block than it says")
    return times, texts


def plain_block(reader):
    """Up to the next sync mark."""
    times, texts = [], []
    while not reader.done() and reader.data[reader.at:reader.at + 4] != ESCAPE:
        record = Reader(reader.take(reader.number(4) + 4))  # the key's length is not counted
        if record.number(4) != 8:
            raise Broken("a key of another length")
        times.append(struct.unpack(">q", record.take(8))[0])
        texts.append(record.text())
        if not record.done():
            raise Broken("a record longer than its value")
    return times, texts


def blocks(path):
    with open(path, "rb") as f:
        reader = Reader(f.read())
    codec, sync = header(reader)
    while not reader.done():
        if reader.take(4) != ESCAPE or reader.take(16) != sync:
            raise Broken("no sync mark at byte %d" % reader.at)
        yield packed_block(reader, codec) if codec else plain_block(reader)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        for _, lines in blocks(name):
            sys.stdout.buffer.write(b"".join(line + b"\n" for line in lines))

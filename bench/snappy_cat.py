#!/usr/bin/env python3
"""Unpacks .snappy files in Hadoop's blocks (docs/formats.md), by libsnappy and none of our code: `snappy_cat.py FILE...`"""
import os
import struct
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/road"))
from libsnappy import uncompressed  # noqa: E402


def exactly(file, size):
    data = file.read(size)
    if len(data) != size:
        raise ValueError("the file ends inside a block")
    return data


def pieces(file):
    while head := file.read(4):
        left, = struct.unpack(">I", head)
        if left == 0:
            raise ValueError("an empty block, which Hadoop takes for the end")
        while left > 0:
            raw = uncompressed(exactly(file, struct.unpack(">I", exactly(file, 4))[0]))
            left -= len(raw)
            yield raw
        if left < 0:
            raise ValueError("a chunk is longer than its block")


if __name__ == "__main__":
    for path in sys.argv[1:]:
        with open(path, "rb") as opened:
            for piece in pieces(opened):
                sys.stdout.buffer.write(piece)

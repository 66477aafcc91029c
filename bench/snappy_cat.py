#!/usr/bin/env python3
"""Unpacks .snappy files in Hadoop's blocks (docs/formats.md), by libsnappy and none of our code: `snappy_cat.py FILE...`"""
import ctypes
import ctypes.util
import struct
import sys

SNAPPY = ctypes.CDLL(ctypes.util.find_library("snappy"))


def uncompressed(chunk):
    length = ctypes.c_size_t()
    if SNAPPY.snappy_uncompressed_length(chunk, ctypes.c_size_t(len(chunk)), ctypes.byref(length)) != 0:
        raise ValueError("a chunk without a length")
    raw = ctypes.create_string_buffer(length.value)
    if SNAPPY.snappy_uncompress(chunk, ctypes.c_size_t(len(chunk)), raw, ctypes.byref(length)) != 0:
        raise ValueError("a broken chunk")
    return raw.raw[:length.value]


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

"""Snappy by its own library, with none of our code."""
import ctypes
import ctypes.util

SNAPPY = ctypes.CDLL(ctypes.util.find_library("snappy"))


def uncompressed(chunk):
    """ValueError: it is none, or broken."""
    length = ctypes.c_size_t()
    if SNAPPY.snappy_uncompressed_length(chunk, ctypes.c_size_t(len(chunk)), ctypes.byref(length)) != 0:
        raise ValueError("a chunk without a length")
    raw = ctypes.create_string_buffer(length.value)
    if SNAPPY.snappy_uncompress(chunk, ctypes.c_size_t(len(chunk)), raw, ctypes.byref(length)) != 0:
        raise ValueError("a broken chunk")
    return raw.raw[:length.value]

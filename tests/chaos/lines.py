"""The lines of a chaos run. Every byte of a line follows from (file, generation, seq), so that the judge
can say of any line what it ought to be. Shares nothing with the program under test.

    TR1 <host> <file> <generation> <seq> <length> <payload> <crc32 of all before it, 8 hex>

The payload holds anything but a newline: words, CR, NUL, UTF-8, invalid UTF-8. One line in 97 ends in CR.
"""
import random
import zlib

HOST = b"chaos"
MASK = (1 << 64) - 1
USUAL = 61  # one line in so many has a length of the first list, one in RARE of the second
RARE = 4001
LENGTHS = (0, 1, 63, 4095, 4096, 65535)
RARE_LENGTHS = (262143, 262145, (1 << 20) - 256)
NOISE_BYTES = 3 << 19


def splitmix(x):
    x = (x + 0x9E3779B97F4A7C15) & MASK
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def _tiled(block):
    return (block * (NOISE_BYTES // len(block) + 1))[:NOISE_BYTES]


def _noises():
    rnd = random.Random(7)
    words = ["%s%d" % (w, rnd.randrange(10 ** rnd.randrange(1, 7))) for w in
             ("GET /a/", "user=", "took ", "ERROR ", "id=", "connection ", "10.0.", "TR1 ", "ok ", "status ") * 40]
    text = " ".join(rnd.choices(words, k=30000)).encode()
    utf8 = "".join(rnd.choices("äöüß€漢字😀 žluťoučký кот", k=60000)).encode()
    wild = bytes(rnd.randrange(256) for _ in range(1 << 17)).replace(b"\n", b"\x00")
    control = b"".join(rnd.choices((b"\r", b"\0", b"\r\r", b"\0\0\0", b"\t", b"x", b"\x1b[0m"), k=40000))
    return _tiled(text), _tiled(utf8), _tiled(wild), _tiled(control)


TEXT, UTF8, WILD, CONTROL = _noises()
_KINDS = (TEXT,) * 12 + (UTF8, UTF8, WILD, CONTROL)


def key_of(file, generation):
    """The part of a line's randomness that all lines of one generation share."""
    return splitmix((zlib.crc32(file) << 32) ^ generation)


def length_of(seq, h):
    if seq % RARE == RARE - 1:
        return RARE_LENGTHS[(seq // RARE) % len(RARE_LENGTHS)]
    if seq % USUAL == USUAL - 1:
        return LENGTHS[(seq // USUAL) % len(LENGTHS)]
    return 10 + h % 180


def make(file, generation, seq, key=None):
    """The whole line without its newline."""
    h = splitmix((key_of(file, generation) if key is None else key) ^ seq)
    n = length_of(seq, h >> 40)
    start = (h >> 8) % (NOISE_BYTES - n)
    head = b"TR1 %s %s %d %d %d %s " % (HOST, file, generation, seq, n, _KINDS[h & 15][start:start + n])
    return b"%s%08x%s" % (head, zlib.crc32(head), b"\r" if seq % 97 == 96 else b"")


def read(line):
    """(file, generation, seq, length, payload and crc) as the line says, or None if it is not of this form."""
    parts = line.split(b" ", 6)
    if len(parts) != 7 or parts[0] != b"TR1" or parts[1] != HOST:
        return None
    try:
        return parts[2], int(parts[3]), int(parts[4]), int(parts[5]), parts[6]
    except ValueError:
        return None


def crc_holds(line):
    body = line[:-1] if line.endswith(b"\r") else line
    return len(body) > 8 and body[-8:] == b"%08x" % zlib.crc32(body[:-8])

#!/usr/bin/env python3
"""When files are published: by size (T59), idle (T58), age; and that nothing half written is ever seen."""
import os
import random
import threading
import time

from program import ProgramTest, inflate, main

SEED = 99


def compressible(seed, total_bytes):
    """Lines that shrink about 10:1, as access logs do."""
    rng = random.Random(seed)
    agents = [b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/%d Safari/537.36" % n for n in range(90, 99)]
    lines, size = [], 0
    while size < total_bytes:
        line = b'10.1.2.%d - - [22/Nov/2026:13:05:%02d +0000] "GET /static/app/%x HTTP/1.1" 200 5316 "-" "%s"\n' % (
            rng.randrange(8), rng.randrange(60), rng.getrandbits(56), rng.choice(agents))
        lines.append(line)
        size += len(line)
    return b"".join(lines)


class Rolls(ProgramTest):
    def test_size_is_that_of_the_compressed_file(self):
        """T59; scale: 4 MiB for 256 MiB, 230 to 270 MiB becoming 3.6 to 4.22 MiB."""
        print("seed", SEED)
        data = compressible(SEED, 40 << 20)
        copies = 0
        path = os.path.join(self.logs, "a.log")
        with open(path, "wb") as file:
            while copies < 5:
                file.write(data)
                copies += 1
        self.once("--roll-size", "4MiB")
        sizes = [os.path.getsize(p) / (1 << 20) for p in self.published()]
        self.assertGreaterEqual(len(sizes), 3, sizes)
        for size in sizes[:-1]:
            self.assertGreater(size, 4 * 230 / 256, sizes)
            self.assertLess(size, 4 * 270 / 256, sizes)
        self.assertEqual(b"".join(map(inflate, self.published())), data * copies)

    def test_a_quiet_file_is_published_at_the_idle_roll(self):
        """T58; scale: idle 2 s for 1 m; at the idle roll and 5 s more, a tick and a busy machine included."""
        self.start("--roll-idle", "2s")
        time.sleep(1)
        self.write("a.log", b"one line, then silence\n")
        written = time.monotonic()
        self.until("the idle roll", self.published, 2 + 5)
        self.assertGreater(time.monotonic() - written, 1.9)
        self.assertEqual(b"".join(map(inflate, self.published())), b"one line, then silence\n")

    def test_a_busy_file_is_published_at_its_age(self):
        """Scale: age 3 s for 10 m, a line each 0.2 s so that it is never idle."""
        self.start("--roll-idle", "1m", "--roll-age", "3s")
        stop = threading.Event()

        def keep_writing():
            n = 0
            while not stop.is_set():
                self.write("a.log", b"line %d\n" % n, "ab")
                n += 1
                time.sleep(0.2)

        writer = threading.Thread(target=keep_writing)
        writer.start()
        try:
            _, seconds = self.until("the age roll", self.published, 20)
        finally:
            stop.set()
            writer.join()
        self.assertGreater(seconds, 2.5)

    def test_whoever_looks_sees_whole_files_only(self):
        """While files are rolled each 64 KiB, every published one is complete at first sight."""
        child = self.start("--roll-size", "64KiB", "--roll-idle", "1s", "--codec", "gzip")
        rng = random.Random(SEED + 1)
        expected, seen = [], {}
        for i in range(40):
            block = b"".join(b"%d %d " % (i, n) + rng.randbytes(30).hex().encode() + b"\n" for n in range(800))
            expected.append(block)
            self.write("a.log", block, "ab")
            for path in self.published():
                if path not in seen:
                    seen[path] = inflate(path)  # gzip fails on a file that is cut
            time.sleep(0.1)
        self.until("the rest", lambda: sum(len(inflate(p)) for p in self.published()) == sum(map(len, expected)))
        for path, content in seen.items():
            self.assertEqual(inflate(path), content)
        self.assertGreater(len(seen), 2)
        child.terminate()
        self.wait(child)
        self.assertEqual(self.cat(), b"".join(expected))


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""A disk with logs that has another number after a reboot: its files are the same ones. Needs root, loop devices and mkfs.xfs."""
import os
import subprocess
import sys
import tempfile

from program import SKIPPED, ProgramTest, main

os.environ["PATH"] += ":/sbin:/usr/sbin"


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.strip()


class Disks(ProgramTest):
    def setUp(self):
        super().setUp()
        self.loops = []

    def tearDown(self):
        subprocess.run(["umount", self.logs], stderr=subprocess.DEVNULL, check=False)
        for loop in self.loops:
            subprocess.run(["losetup", "-d", loop], check=False)
        super().tearDown()

    def attached(self, image):
        self.loops.append(run("losetup", "--show", "-f", image))
        return self.loops[-1]

    def test_an_xfs_disk_that_is_numbered_otherwise_is_the_same_one(self):
        image = os.path.join(self.dir, "disk")
        with open(image, "wb") as f:
            f.truncate(512 << 20)
        run("mkfs.xfs", "-q", image)
        first = self.attached(image)
        run("mount", "-t", "xfs", first, self.logs)
        self.write("a.log", b"1\n2\n")
        before = os.stat(self.logs).st_dev
        self.once()
        run("umount", self.logs)
        run("losetup", "-d", self.loops.pop())
        with open(os.path.join(self.dir, "other disk"), "wb") as f:
            f.truncate(1 << 20)
        self.attached(f.name)  # another disk has its number now
        run("mount", "-t", "xfs", self.attached(image), self.logs)
        self.assertNotEqual(os.stat(self.logs).st_dev, before)
        self.write("a.log", b"3\n", "ab")
        self.once()
        self.assertEqual(self.cat(), b"1\n2\n3\n")


def may_mount():
    """Whether this kernel lets us have an XFS disk of our own."""
    with tempfile.TemporaryDirectory() as at:
        with open(at + "/disk", "wb") as f:
            f.truncate(512 << 20)
        os.mkdir(at + "/there")
        return subprocess.run("mkfs.xfs -q disk && unshare -m sh -c 'mount -o loop disk there && umount there'", cwd=at, shell=True,
                              check=False).returncode == 0


if __name__ == "__main__":
    if "own-mounts" not in sys.argv:
        if not may_mount():
            print("disks_test: SKIPPED, NOT PROVEN: needs root, loop devices, XFS in the kernel and mkfs.xfs (xfsprogs)")
            sys.exit(SKIPPED)
        os.execvp("unshare", ["unshare", "-m", sys.executable, __file__, *sys.argv[1:], "own-mounts"])
    sys.argv.remove("own-mounts")
    sys.exit(main())

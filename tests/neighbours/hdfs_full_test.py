#!/usr/bin/env python3
"""What HDFS answers when its only DataNode's disk, a tmpfs, is full. Needs the right to mount: root, or a user namespace (this starts
itself again under `unshare`).
"""
import os
import subprocess
import sys
import time
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from hadoop_jars import SKIPPED  # noqa: E402
from hdfs import Hdfs  # noqa: E402
from webhdfs_client import Refused  # noqa: E402

MIB = 1024 * 1024
OWN_MOUNTS = "HDFS_FULL_TEST_HAS_OWN_MOUNTS"


class Full(unittest.TestCase):
    def setUp(self):
        room = "dfs.datanode.round-robin-volume-choosing-policy.additional-available-space"
        self.hdfs = Hdfs(httpfs=True, datanode_settings={room: 0}, settings={"dfs.namenode.safemode.threshold-pct": 0,
                                                                             "dfs.blocksize": 4 * MIB})
        self.addCleanup(self.hdfs.remove)
        data = self.hdfs.datanodes[0].folder + "/data"
        os.makedirs(data)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "none", data], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", data], check=True)
        self.hdfs.start()

    def test_it_says_so_and_goes_on_when_there_is_room_again(self):
        for client, status, name in ((self.hdfs.client(), 403, "IOException"), (self.hdfs.httpfs_client(), 500, "RemoteException")):
            self.create(client, "/fits", bytes(8 * MIB))
            with self.assertRaises(Refused) as caught:
                client.create("/full", bytes(32 * MIB))
            self.assertEqual((caught.exception.status, caught.exception.name), (status, name))
            # The second, where the disk fills within a block.
            self.assertRegex(caught.exception.message, "could only be written to 0 of the 1 minReplication nodes|All datanodes .* are bad")
            self.assertLess(client.status("/full")["length"], 32 * MIB)  # what is there looks like any file
            self.assertEqual(len(client.read("/fits")), 8 * MIB)
            for path in ("/full", "/fits"):
                self.assertTrue(client.delete(path))
        self.create(client, "/fits-again", bytes(16 * MIB))

    @staticmethod
    def create(client, path, data):
        """The DataNode deletes blocks when it likes."""
        end = time.monotonic() + 60
        while True:
            try:
                return client.create(path, data, overwrite=True)
            except Refused:
                if time.monotonic() > end:
                    raise
                time.sleep(0.5)


def own_mounts(script=__file__):
    """Starts this (or another script) anew where what it mounts is seen by nobody else."""
    for words in (["unshare", "-m"], ["unshare", "-rm"]):
        if subprocess.run([*words, "mount", "-t", "tmpfs", "none", "/mnt"], stderr=subprocess.DEVNULL, check=False).returncode == 0:
            os.environ[OWN_MOUNTS] = "1"
            os.execvp(words[0], [*words, sys.executable, os.path.abspath(script), *sys.argv[1:]])
    print("hdfs_full_test.py: no right to mount a tmpfs, neither as this user nor in a user namespace")
    sys.exit(SKIPPED)


if __name__ == "__main__":
    if OWN_MOUNTS not in os.environ:
        own_mounts()
    unittest.main()

#!/usr/bin/env python3
"""Wrong settings: each of tests/golden/settings/bad.txt with its exact message; 500 mutants of the shipped ones, of
which each is taken or refused with a place, and what is taken by the check is taken by a start."""
import os
import random
import re
import signal
import subprocess
import time

from program import ROOT, TAILRACE, ProgramTest, main

GOLDEN = os.path.join(ROOT, "tests/golden/settings/bad.txt")
PLACE = re.compile(r"^.+\.yaml:\d+:\d+: error: .+$|^.+\.yaml: error: .+$")
ODD = list("\"'[]{}:,-#&*!|>%@`\n\t \\$<0aé") + ["\x00", "\n---\n", "10s", "0755", "${env:NONE}", "  ", "\r\n"]


def cases():
    """(settings, what is said), from blocks: '== NAME', the settings, '--', the message."""
    with open(GOLDEN) as file:
        blocks = file.read().split("\n== ")[1:]
    for block in blocks:
        name, _, rest = block.partition("\n")
        settings, _, said = rest.partition("--\n")
        yield name, settings, said.rstrip("\n") + "\n"


class Settings(ProgramTest):
    def check(self, text):
        path = f"{self.dir}/a.yaml"
        with open(path, "w", newline="") as file:
            file.write(text)
        done = subprocess.run([TAILRACE, "check", path], capture_output=True, text=True, errors="replace", timeout=30)
        return done.returncode, done.stderr.replace(self.dir + "/", "")

    def test_each_mistake_has_its_message(self):
        every = list(cases())
        self.assertGreaterEqual(len(every), 60)
        write = os.environ.get("TAILRACE_WRITE_GOLDEN")
        new = ["Settings and what is said of them. TAILRACE_WRITE_GOLDEN=1 tests/road/config_test.py writes the answers anew.\n"]
        for name, settings, expected in every:
            code, said = self.check(settings)
            new.append(f"== {name}\n{settings}--\n{said}")
            if not write:
                with self.subTest(name):
                    self.assertEqual((code, said), (78, expected))
            self.assertEqual(code, 78, name)
            for line in said.splitlines():
                if "error:" in line:
                    self.assertRegex(line, PLACE, name)
        if write:
            with open(GOLDEN, "w") as file:
                file.write("\n".join(new))

    def test_centers_at_kafka_alone_need_a_zookeeper(self):
        center = "role: center\ncluster: c1\nstate: %s/state\nlisten: 127.0.0.1:17410\n" % self.dir
        kafka, files = "  k: {type: kafka, brokers: [b:9092]}\n", "  f: {type: directory, root: /srv/logs, timezone: UTC}\n"
        zookeeper = "discovery: {zookeeper: \"zoo1:2181\"}\n"
        for settings, told in ((kafka, True), (files, False), (kafka + files, False), (kafka + zookeeper, False)):
            code, said = self.check(center + "sinks:\n" + settings)
            self.assertEqual(code, 0, said)
            self.assertEqual("must be the only Center of 'c1'" in said, told, said)

    def mutant(self, rnd, text):
        for _ in range(rnd.randint(1, 4)):
            at = rnd.randrange(len(text))
            way = rnd.random()
            if way < .3:
                text = text[:at] + text[at + rnd.randint(1, 8):]
            elif way < .7:
                text = text[:at] + rnd.choice(ODD) + text[at:]
            else:  # a line twice, or elsewhere
                lines = text.split("\n")
                lines.insert(rnd.randrange(len(lines)), rnd.choice(lines))
                text = "\n".join(lines)
            text = text or "a"
        return text

    def starts(self, role, text):
        """Whether the program gets beyond its settings."""
        path = f"{self.dir}/{role}.yaml"
        with open(path, "w", newline="") as file:
            file.write(text)
        words = [TAILRACE, "run"] if role == "run" else [os.path.join(os.path.dirname(TAILRACE), "tailrace-" + role)]
        child = subprocess.Popen([*words, "--config", path], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                 errors="replace")
        self.children.append(child)
        end = time.monotonic() + 5
        while child.poll() is None and time.monotonic() < end:
            try:
                child.wait(.3)
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGTERM)
        if child.poll() is None:
            child.kill()
        said = child.communicate()[1]
        self.assertIn(child.returncode, (0, 1, -signal.SIGKILL), said)  # 1: a port or a folder; never 78
        return said

    def test_any_mutant_is_taken_or_refused_with_a_place(self):
        seed = int(os.environ.get("TAILRACE_SEED", "0")) or random.randrange(1 << 32)
        rnd = random.Random(seed)
        shipped = {}
        for role in ("agent", "local", "center", "run"):
            with open(os.path.join(ROOT, f"conf/{role}.yaml")) as file:
                text = "\n".join(line.split("   #")[0].rstrip() for line in file if not line.startswith("#"))
            # Nothing of this machine is to be touched by one that starts.
            text = text.replace("cluster: main", f"cluster: main\nstate: {self.dir}/state/{role}\nadmin: 127.0.0.1:0")
            text = text.replace("/srv/tailrace", f"{self.dir}/srv").replace("/var/log/", f"{self.logs}/")
            shipped[role] = text
        started = taken = 0
        for i in range(500):
            role = rnd.choice(list(shipped))
            text = self.mutant(rnd, shipped[role])
            with self.subTest(seed=seed, i=i, text=text):
                code, said = self.check(text)
                self.assertIn(code, (0, 78), said)
                errors = [line for line in said.splitlines() if "error:" in line]
                if code == 78:
                    self.assertTrue(errors, said)
                for line in errors:
                    self.assertRegex(line, r"^a\.yaml(:\d+:\d+)?: error: .")
                taken += code == 0
                mine = all(f"{self.dir}" in line for line in text.splitlines() if re.search(r"(state|root):", line))
                if code == 0 and mine and started < 12 and re.search(rf"^role: {role}\s*$", text, re.M):
                    self.starts(role, text)
                    started += 1
        self.assertGreater(taken, 20)
        self.assertGreater(started, 4)


if __name__ == "__main__":
    main()

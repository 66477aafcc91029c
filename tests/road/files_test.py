#!/usr/bin/env python3
"""`tailrace files`: what was published, by the commit log, of a real run."""
import json
import os
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TAILRACE = os.environ.get("TAILRACE_BIN") or os.path.join(ROOT, "build", "bin", "tailrace")


class Files(unittest.TestCase):
    def setUp(self):
        self.dir = tempfile.TemporaryDirectory(prefix="tailrace-files-")
        self.addCleanup(self.dir.cleanup)
        self.out = self.dir.name + "/out"

    def collect(self, **categories):
        sources = []
        for category, lines in categories.items():
            with open(f"{self.dir.name}/{category}.log", "a") as log:
                log.writelines(f"{category} {n}\n" for n in range(lines))
            sources += ["--from", f"{category}={self.dir.name}/{category}.log"]
        subprocess.run([TAILRACE, "run", "--once", *sources, "--to", self.out], check=True, capture_output=True, timeout=60)

    def files(self, *more, at=None):
        return subprocess.run([TAILRACE, "files", *([at or self.out] if at != "" else []), *more], capture_output=True, text=True, timeout=60)

    def test_each_file_is_listed_as_it_stands(self):
        self.collect(web=1000, app=10)
        self.collect(app=5)
        (sink,) = json.loads(self.files("--format", "json").stdout)
        self.assertEqual(sink["root"], self.out)
        self.assertEqual([(f["category"], f["lines"], f["hosts"], f["published"]) for f in sink["files"][:1]], [("app", 5, 1, True)])
        self.assertEqual(sorted((f["category"], f["lines"]) for f in sink["files"]), [("app", 5), ("app", 10), ("web", 1000)])
        for file in sink["files"]:
            self.assertEqual(os.path.getsize(f"{self.out}/{file['path']}"), file["bytes"])
            self.assertLessEqual(file["first_line_ms"], file["last_line_ms"])
        text = self.files().stdout
        self.assertIn("3 files, ", text)
        self.assertIn("1,015 lines in the last 1h", text)
        self.assertNotIn("not published", text)
        self.assertIn("1 files, ", self.files("--category", "we").stdout)
        self.assertIn("0 files, ", self.files("--last", "0s").stdout)

    def test_each_category_has_its_format(self):
        pipelines = ""
        for category in ("web", "app", "db"):
            with open(f"{self.dir.name}/{category}.log", "w") as log:
                log.write(f"{category} line\n")
            pipelines += f"  {category}: {{files: [{self.dir.name}/{category}.log]}}\n"
        path = self.dir.name + "/run.yaml"
        with open(path, "w") as f:
            f.write(f"role: run\ncluster: c\nstate: {self.dir.name}/state\nadmin: 127.0.0.1:0\npipelines:\n{pipelines}sinks:\n"
                    f"  one:\n    type: directory\n    root: {self.out}\n    timezone: UTC\n    format: sequence_file\n"
                    "    categories: {app: {format: text}}\n")
        subprocess.run([TAILRACE, "run", "--config", path, "--once"], check=True, capture_output=True, timeout=60)
        (sink,) = json.loads(self.files("--format", "json").stdout)
        self.assertEqual({f["category"]: (f["format"], f["codec"], f["path"].endswith(".seq")) for f in sink["files"]},
                         {"web": ("sequence_file", "gzip", True), "db": ("sequence_file", "gzip", True), "app": ("text", "gzip", False)})
        lines = subprocess.run([TAILRACE, "cat", self.out], check=True, capture_output=True, timeout=60).stdout
        self.assertEqual(sorted(lines.splitlines()), [b"app line", b"db line", b"web line"])

    def test_settings_name_the_sinks(self):
        self.collect(web=3)
        path = self.dir.name + "/center.yaml"
        with open(path, "w") as f:
            f.write(f"role: center\ncluster: c\nstate: {self.dir.name}/s\nname: c1\nlisten: 127.0.0.1:4000\nsinks:\n"
                    f"  one: {{type: directory, root: {self.out}, timezone: UTC}}\n  two: {{type: directory, root: {self.dir.name}/two, timezone: UTC}}\n")
        os.mkdir(self.dir.name + "/two")
        got = self.files("--config", path, "--sink", "one", at="")
        self.assertEqual((got.returncode, got.stderr), (0, ""))
        self.assertIn("1 files, ", got.stdout)
        both = self.files("--config", path, at="")
        self.assertEqual(both.returncode, 1)
        self.assertIn(self.dir.name + "/two: there is no _tailrace.sink", both.stderr)
        wrong = self.files("--config", path, "--sink", "three", at="")
        self.assertEqual(wrong.returncode, 2)

    def test_what_cannot_be_read_is_named(self):
        for at, code, says in ((self.dir.name + "/none", 1, "is no directory"), (self.dir.name, 1, "no Center has ever published here"),
                               ("webhdfs://127.0.0.1:1/logs", 1, "127.0.0.1:1"), ("webhdfs://nn1", 2, "/logs")):
            got = self.files(at=at)
            self.assertEqual((got.returncode, got.stdout), (code, ""), got.stderr)
            self.assertIn(says, got.stderr)
        self.assertEqual(self.files("--last", "5").returncode, 2)


if __name__ == "__main__":
    unittest.main(verbosity=2)

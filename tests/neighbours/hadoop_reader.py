#!/usr/bin/env python3
"""What Hadoop's own readers make of files in HDFS: a MapReduce job in one process, whose mapper only keeps what it is given.

  read(hdfs, "/logs/a.gz")                                              {"/logs/a.gz": every line with a newline, as bytes}
  read(hdfs, "/logs/a.seq", form="SequenceFileAsTextInputFormat")       a line a record: key, tab, value
"""
import os
import shutil
import sys
import tempfile
import urllib.parse

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import hadoop_jars  # noqa: E402

STREAMING = "streaming.HadoopStreaming"


def read(hdfs, *paths, form="TextInputFormat", split=None, native=False):
    """By path, in the file's order. `split`: of at most so many bytes, where the format can be split. `native`: with Hadoop's
    native library. Raises RuntimeError with what Hadoop said."""
    folder = tempfile.mkdtemp(prefix="tailrace-read-")
    try:
        kept = folder + "/kept"
        os.mkdir(kept)
        settings = {"mapreduce.framework.name": "local", "mapreduce.job.reduces": 0, "hadoop.tmp.dir": folder + "/tmp",
                    **({"mapreduce.input.fileinputformat.split.maxsize": split} if split else {})}
        properties = {"java.library.path": hadoop_jars.fetch_native()} if native else {}
        hdfs.tool(STREAMING, *(word for pair in settings.items() for word in ("-D", "%s=%s" % pair)),
                  *(word for path in paths for word in ("-input", path)), "-output", "file://" + folder + "/out",
                  "-inputformat", "org.apache.hadoop.mapred." + form,
                  "-mapper", "%s %s %s" % (sys.executable, os.path.abspath(__file__), kept), properties=properties)
        return join(kept)
    finally:
        shutil.rmtree(folder)


def join(kept):
    found = {}
    for name in sorted(os.listdir(kept)):  # file.start, start in 20 digits
        path = urllib.parse.urlsplit(urllib.parse.unquote(name.rpartition(".")[0])).path
        with open(os.path.join(kept, name), "rb") as f:
            found[path] = found.get(path, b"") + f.read()
    return found


def keep(folder):
    """The mapper: one life for each split."""
    name = "%s.%020d" % (urllib.parse.quote(os.environ["mapreduce_map_input_file"], safe=""),
                         int(os.environ["mapreduce_map_input_start"]))
    with open(os.path.join(folder, name), "xb") as f:
        shutil.copyfileobj(sys.stdin.buffer, f)


if __name__ == "__main__":
    keep(sys.argv[1])

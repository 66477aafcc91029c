"""What Spark makes of published directories; run by the python of spark_venv.py: `spark_read.py INTO text|sequence_file DIR...`.
Each directory's lines become a file in INTO, by its base name."""
import os
import sys

from pyspark.sql import SparkSession


def lines(spark, form, folder):
    if form == "text":  # partitions, dt= and hr=, are found and not asked for
        return [row.value for row in spark.read.text("file://" + folder).select("value").collect()]
    every = spark.sparkContext.sequenceFile("file://%s/*/*/*.seq" % folder, minSplits=16)  # dt=, hr=
    return [value for _, value in every.collect()]


def main():
    into, form, folders = sys.argv[1], sys.argv[2], sys.argv[3:]
    spark = SparkSession.builder.master("local[2]").config("spark.ui.enabled", "false").getOrCreate()
    spark.sparkContext.setLogLevel("ERROR")
    for folder in folders:
        with open(os.path.join(into, os.path.basename(folder)), "wb") as f:
            f.write(b"".join(line.encode() + b"\n" for line in lines(spark, form, folder)))
    spark.stop()


main()

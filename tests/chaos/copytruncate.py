#!/usr/bin/env python3
"""copytruncate: what its window swallows is gone, but nothing is doubled or torn, and no loss is silent.

The copies lie outside the globs. Lines may be missing only if the program itself reported gaps.
"""
import argparse
import random
import sys

from rig import Failure, Rig, gaps_reported, run


def body(rig, args):
    life = rig.start(what="copytruncate")
    more = ("--rotate-every", "0.6", "--rate", str(args.rate), "--seconds", str(args.seconds))
    writer = rig.write("--mode", "copytruncate", "--seed", str(args.seed), *more)
    if writer.wait(args.seconds + 60) != 0:
        raise Failure("the writer failed")
    life.end(60)
    rig.look()
    found = rig.judge()
    reported = gaps_reported(rig.said())
    print("copytruncate: %d truncations, %d lines missing, %d gaps reported" %
          (found.ledger.ends["truncated"], found.counts["missing"], reported))
    if [k for k, n in found.counts.items() if n and k != "missing"]:
        raise Failure(found.summary())
    if found.counts["missing"] and not reported:
        raise Failure("%d lines are missing and no gap was reported" % found.counts["missing"])
    if found.ledger.ends["truncated"] < 5 or found.lines < found.ledger.lines // 10:
        raise Failure("this run proves nothing: %s" % found.summary())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0, help="0: a fresh one, printed")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rate", type=int, default=4000)
    args = parser.parse_args()
    args.seed = args.seed or random.SystemRandom().randrange(1, 1 << 31)
    return run("copytruncate --seed %d" % args.seed, lambda rig: body(rig, args), Rig("copytruncate", globs=(".log",)))


if __name__ == "__main__":
    sys.exit(main())

"""Where real logs lie, if anywhere: the folder $TAILRACE_CORPUS, else `shared/corpus` beside the source root.

This is the one place that looks outside of the repository; without such a folder the tests that use it are
run on generated logs alone.
"""
import glob
import os

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_FOLDER = os.environ.get("TAILRACE_CORPUS") or os.path.join(os.path.dirname(_ROOT), "shared", "corpus")


def logs():
    """Paths of the real logs, sorted; none if there are none."""
    return sorted(glob.glob(os.path.join(_FOLDER, "*.log")))

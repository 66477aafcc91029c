#!/usr/bin/env python3
"""The rules of the house, carried out: which folder may include which, an await stands alone, threads
live in base/, foreign headers where they belong, short files and functions, plain names.

    house_rules_test.py               look at the repository
    house_rules_test.py --self-test   look at planted violations: each must be found, and nothing else
"""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

# --- what is allowed --------------------------------------------------------------------------

FOLDERS = {  # folder: the folders that it may include, besides itself
    "base": "",
    "proto": "",
    "flow": "base proto",
    "discovery": "base",
    "sinks": "base flow",
    "admin": "base",
    "agent": "base proto flow",
    "local": "base proto flow discovery",
    "center": "base proto flow discovery sinks",
    "cli": "base proto flow discovery sinks admin agent local center",
}
EVERYTHING = " ".join(FOLDERS)
MAY_INCLUDE = {folder: set(allowed.split()) | {folder} for folder, allowed in FOLDERS.items()}
# A folder's tests may include what the folder may; those of the whole road and the benchmarks, all.
for _folder in FOLDERS:
    MAY_INCLUDE["tests/" + _folder] = MAY_INCLUDE[_folder] | {"tests"}
for _folder in ("tests", "tests/road", "bench"):
    MAY_INCLUDE[_folder] = set(EVERYTHING.split()) | {"tests", "bench"}

FOREIGN = {  # header (a prefix): the places (prefixes) that may include it
    "krb5.h": ["sinks/store/kerberos.cc"],
    "openssl/": ["sinks/store/hdfs_checksum.cc"],
    "expat.h": ["sinks/store/hadoop_conf.cc"],
    "gssapi/": ["sinks/store/kerberos.cc"],
    "curl/": ["sinks/store/http_client.cc"],
    "librdkafka/": ["sinks/kafka/kafka_handle.h", "bench/"],
    "nlohmann/": ["cli/", "sinks/store/webhdfs.cc"],
    "asio": ["base/", "flow/", "discovery/", "admin/", "agent/", "local/", "center/", "cli/", "tests/", "bench/"],
    "boost/test/": ["tests/"],
    "rapidcheck": ["tests/"],
    "spdlog/": ["base/log.cc"],
    "xxhash.h": ["base/hash.cc"],
    "yaml-cpp/": ["base/yaml.cc"],
    "zookeeper/": ["discovery/zookeeper.cc"],
    "zstd.h": ["flow/codec_zstd.cc", "tests/flow/", "bench/"],
    "zlib.h": ["flow/codec_zlib.cc", "tests/flow/", "bench/"],
    "isa-l": ["flow/codec_isal.cc", "base/hash.cc", "bench/"],
    "snappy": ["flow/codec_snappy.cc", "tests/flow/", "bench/"],
    "dlfcn.h": ["bench/"],
    "google/protobuf/": ["flow/", "agent/", "local/", "center/", "tests/", "proto/"],
}
SYSTEM_HEADER = re.compile(
    r"(?:sys|linux|netinet|arpa)/[a-z_]+\.h|(?:unistd|fcntl|dirent|signal|poll|pthread|fnmatch|limits|"
    r"time|stdio|stdlib|errno|string|netdb|pwd|sched|endian|[a-z]*mmintrin|immintrin|cpuid)\.h")
STANDARD_HEADER = re.compile(r"[a-z_0-9]+")

THREADS = re.compile(
    r"\bstd::(?:jthread|thread|async|(?:recursive_|timed_|shared_)*mutex|condition_variable\w*|atomic\w*|"
    r"future|promise|lock_guard|unique_lock|scoped_lock|call_once|counting_semaphore|latch|barrier)\b|"
    r"\bpthread_\w+|\bthread_local\b|\basio::thread(?:_pool)?\b|"
    r"#include <(?:thread|mutex|shared_mutex|atomic|condition_variable|future|semaphore|pthread\.h)>")
THREADS_LIVE_IN = ("base/", "tests/", "bench/")

BANNED_NAME = re.compile(
    r"\b(?:class|struct|enum class|enum|union|using)\s+(?:\[\[\w+\]\]\s+)?"
    r"(\w*(?:Manager|Helper|Util|Utils|Impl|Base|Handler)(?![a-z])\w*)")
# Where other projects lie on some machine is nobody's business; the corpus of real logs is found by
# one file alone.
BANNED_TEXT = re.compile(r"/work/|\.\./shared\b")
BANNED_TEXT_ALLOWED = ("tests/house_rules_test.py",)

MOST_LINES = 500
MOST_TEST_LINES = 500
MOST_FUNCTION_LINES = 70
SOURCE_FOLDERS = list(FOLDERS) + ["tests", "bench"]

# --- reading C++ ------------------------------------------------------------------------------

TOKENS = re.compile(
    r'//[^\n]*|/\*.*?\*/|R"(?P<tag>[^\s()\\]*)\((?:.*?)\)(?P=tag)"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'',
    re.S)


def without_comments_and_strings(text):
    """The same length and lines, with comments blank and what stands in quotes replaced by x."""
    def blank(match):
        found = match.group(0)
        if found.startswith("/"):
            return re.sub(r"[^\n]", " ", found)
        if found.startswith("'") and match.start() > 0 and text[match.start() - 1].isalnum():
            return found  # 1'000'000
        return found[0] + re.sub(r"[^\n]", "x", found[1:-1]) + found[-1]
    return TOKENS.sub(blank, text)


def line_of(text, index):
    return text.count("\n", 0, index) + 1


BLOCK_BEFORE = re.compile(r"(?:[);{}:]|\belse|\bdo|\btry|\bmutable|\bnoexcept|\bconst|\boverride|\bfinal|->[^;{}()]*)$")


def statement_start(code, index):
    """Where the statement around `index` begins: behind the last ; or block brace outside of parentheses."""
    depth = 0
    for i in range(index - 1, -1, -1):
        c = code[i]
        if c in ")]":
            depth += 1
        elif c in "([":
            depth -= 1
        elif depth > 0:
            continue
        elif c == "}" and depth == 0:
            return i + 1
        elif c == ";" and depth == 0:
            return i + 1
        elif c == "{" and BLOCK_BEFORE.search(code[max(0, i - 200):i].rstrip() or ";"):
            return i + 1
    return 0


def statement_end(code, start):
    head = re.match(r"\s*(?:if|while|for|switch)\b", code[start:])
    depth = 0
    for i in range(start, len(code)):
        c = code[i]
        if c in "([{":
            if c == "{" and depth == 0 and BLOCK_BEFORE.search(code[start:i].rstrip() or ";"):
                return i
            depth += 1
        elif c in ")]}":
            depth -= 1
            if depth < 0 or (depth == 0 and c == ")" and head and "co_await" in code[start:i]):
                return i
        elif c == ";" and depth == 0:
            return i
    return len(code)


# --- the rules: each yields (line, what is wrong) -----------------------------------------------


def folder_of(path):
    parts = path.split("/")
    if parts[0] == "tests" and len(parts) > 2 and "tests/" + parts[1] in MAY_INCLUDE:
        return "tests/" + parts[1]
    return parts[0]


def includes_go_one_way(path, text):
    allowed = MAY_INCLUDE[folder_of(path)]
    for match in re.finditer(r'^#include "([^"]+)"', text, re.M):
        target = match.group(1)
        folder = target.split("/")[0]
        if target == "control.pb.h":
            folder = "proto"
        elif "/" not in target or target.startswith("."):
            yield line_of(text, match.start()), f'write "{target}" from the root of the repository'
            continue
        if folder not in allowed:
            yield line_of(text, match.start()), f"{folder_of(path)}/ may not include {folder}/"


def foreign_headers_where_they_belong(path, text):
    for match in re.finditer(r"^#include <([^>]+)>", text, re.M):
        header = match.group(1)
        if STANDARD_HEADER.fullmatch(header) or SYSTEM_HEADER.fullmatch(header):
            continue
        places = next((places for prefix, places in FOREIGN.items() if header.startswith(prefix)), None)
        if places is None:
            yield line_of(text, match.start()), f"<{header}> is not in the table of foreign headers"
        elif not path.startswith(tuple(places)):
            yield line_of(text, match.start()), f"<{header}> belongs in {', '.join(places)}"


def an_await_stands_alone(path, text):
    code = without_comments_and_strings(text)
    for match in re.finditer(r"\bco_await\b", code):
        start = statement_start(code, match.start())
        statement = code[start:statement_end(code, start)]
        if "co_await" not in statement:
            continue
        for sign, name in (("?", "a ?:"), ("{", "a {"), ("[&", "a lambda"), ("[=", "a lambda")):
            if sign in statement:
                yield line_of(code, match.start()), f"an await stands alone: this statement also holds {name}"
                break


def threads_live_in_base(path, text):
    if path.startswith(THREADS_LIVE_IN):
        return
    code = without_comments_and_strings(text)
    for match in THREADS.finditer(code):
        yield line_of(code, match.start()), f"'{match.group(0)}': threads, mutexes and atomics live in base/"


def names_say_what_a_thing_is(path, text):
    code = without_comments_and_strings(text)
    for match in BANNED_NAME.finditer(code):
        yield line_of(code, match.start()), f"'{match.group(1)}' says what it is called by everybody, not what it is"


def functions_are_short(path, text):
    if path.startswith("tests/"):
        return  # a scenario is told from its beginning to its end
    code = without_comments_and_strings(text).split("\n")
    for i, line in enumerate(code):
        indent = len(line) - len(line.lstrip())
        head = " ".join(code[max(0, i - 6):i + 1]).rsplit(";", 1)[-1].rsplit("}", 1)[-1]
        if indent > 2 or not line.rstrip().endswith("{") or "(" not in head:
            continue
        if re.match(r"\s*(?:namespace|class|struct|enum|union|extern)\b", line):
            continue
        end = next((j for j in range(i + 1, len(code)) if code[j].startswith(" " * indent + "}")), i)
        if end - i + 1 > MOST_FUNCTION_LINES:
            yield i + 1, f"a function of {end - i + 1} lines; the most is {MOST_FUNCTION_LINES}"


def headers_say_what_they_are_for(path, text):
    if not path.endswith(".h") or path.startswith(("tests/", "bench/")):
        return
    comment = re.match(r"(?:// .*\n)+", text)
    if not comment:
        yield 1, "a header's first line says what it is for"
    elif "Thread:" not in comment.group(0):
        yield 1, "the comment on top of a header says on which thread it lives (Thread: ...)"
    if "\n#pragma once\n" not in text:
        yield 1, "no #pragma once"


NUMBERS_COMPARED = re.compile(
    r"\b\w*(?:seq|chain|epoch)\w*(?:\(\))?\s*(?:[=!]=|[<>]=?(?![<>=]))|(?:[=!]=|[<>]=?)\s*[\w.>()-]*(?:seq|chain|epoch)\b")


def the_simulation_judges_by_lines(path, text):
    """It drives the machines; were it to compare their numbers itself, it would share their mistakes."""
    if not path.startswith("tests/sim/"):
        return
    code = without_comments_and_strings(text)
    for match in NUMBERS_COMPARED.finditer(code):
        yield line_of(code, match.start()), "the simulation compares no seq, chain or epoch"


def own_header_comes_first(path, text):
    """So that each header that has a .cc is compiled by itself; for the others see house_rules.cmake."""
    header = path[:-3] + ".h"
    if not path.endswith(".cc") or not os.path.exists(os.path.join(ROOT, header)):
        return
    first = re.search(r'^#include ["<]([^">]+)[">]', text, re.M)
    if not first or first.group(1) != header:
        yield 1, f'the first include is "{header}"'


def files_are_short(path, text):
    lines = text.count("\n")
    most = MOST_TEST_LINES if path.startswith("tests/") else MOST_LINES
    if lines > most:
        yield lines, f"{lines} lines; the most is {most}"


def nothing_of_other_places(path, text):
    if path in BANNED_TEXT_ALLOWED:
        return
    for match in BANNED_TEXT.finditer(text):
        yield line_of(text, match.start()), f"'{match.group(0)}' is not of this repository"


CODE_RULES = [includes_go_one_way, foreign_headers_where_they_belong, an_await_stands_alone, threads_live_in_base,
              names_say_what_a_thing_is, functions_are_short, headers_say_what_they_are_for, own_header_comes_first,
              the_simulation_judges_by_lines]
TEXT_RULES = [nothing_of_other_places]


def check(path, text):
    rules = list(TEXT_RULES)
    if path.endswith((".cc", ".h", ".py", ".sh")) or path == "dev":
        rules.append(files_are_short)
    if path.endswith((".cc", ".h")) and path.split("/")[0] in SOURCE_FOLDERS:
        rules += CODE_RULES
    return [(path, line, what) for rule in rules for line, what in rule(path, text)]


def files():
    for directory, folders, names in os.walk(ROOT):
        folders[:] = sorted(f for f in folders if f not in (".git", "build", "collected", "__pycache__", "golden"))
        for name in sorted(names):
            path = os.path.relpath(os.path.join(directory, name), ROOT)
            if name.endswith((".cc", ".h", ".py", ".sh", ".md", ".txt", ".cmake", ".json", ".proto", ".yaml")) or \
                    path in ("dev", ".ci/run", "bench/run", ".clang-format", ".clang-tidy"):
                yield path


def main():
    wrong, looked = [], 0
    for path in files():
        with open(os.path.join(ROOT, path), encoding="utf-8") as file:
            wrong += check(path, file.read())
        looked += 1
    for path, line, what in wrong:
        print(f"{path}:{line}: {what}")
    print(f"house rules: {looked} files, {len(wrong)} violations")
    return 1 if wrong or looked < 50 else 0


# --- the rules' own test ------------------------------------------------------------------------

GOOD_HEADER = "// Says what it is for.\n// Thread: any.\n#pragma once\n"
PLANTED = [  # path, text, what must be found (part of the message; None: nothing)
    ("base/a.cc", '#include "flow/frame.h"\n', "base/ may not include flow/"),
    ("flow/a.cc", '#include "base/file.h"\n#include "control.pb.h"\n', None),
    ("sinks/store/a.cc", '#include "center/center.h"\n', "sinks/ may not include center/"),
    ("agent/a.cc", '#include "local/local.h"\n', "agent/ may not include local/"),
    ("tests/flow/a.cc", '#include "agent/agent.h"\n', "tests/flow/ may not include agent/"),
    ("tests/road/a.cc", '#include "agent/agent.h"\n', None),
    ("flow/a.cc", '#include "frame.h"\n', "from the root"),
    ("tests/sim/a.cc", "bool f(A a) { return a.first_seq < 3; }\n", "compares no seq"),
    ("tests/sim/a.cc", "bool f(A a) { return 3 == a.chain; }\n", "compares no seq"),
    ("tests/sim/a.cc", "void f(A& a) { a.first_seq = 3; if (a.bytes < 4) a.epoch = 0; }\n", None),
    ("flow/a.cc", "#include <zstd.h>\n", "<zstd.h> belongs in"),
    ("flow/codec_zstd.cc", "#include <zstd.h>\n", None),
    ("agent/a.cc", "#include <libpq-fe.h>\n", "not in the table"),
    ("agent/a.cc", "#include <curl/curl.h>\n", "<curl/curl.h> belongs in"),
    ("agent/a.cc", "#include <sys/stat.h>\n#include <unistd.h>\n#include <vector>\n", None),
    ("center/a.cc", "std::mutex lock;\n", "threads, mutexes and atomics"),
    ("center/a.cc", "// a std::mutex would not do\n", None),
    ("base/a.cc", "std::mutex lock;\n", None),
    ("local/a.cc", "#include <atomic>\n", "threads, mutexes and atomics"),
    ("local/a.h", GOOD_HEADER + "class SpoolManager {};\n", "'SpoolManager'"),
    ("local/a.h", GOOD_HEADER + "struct BaseFile {};\nclass ImplicitOrder;\nclass Database;\n", "'BaseFile'"),
    ("local/a.h", "\n#pragma once\n", "first line says"),
    ("local/a.h", "// What.\n#pragma once\n", "on which thread"),
    ("local/a.h", "// What. Thread: any.\n", "#pragma once"),
    ("local/a.cc", "x\n" * 501, "501 lines"),
    ("local/a.cc", "void f() {\n" + "  x();\n" * 69 + "}\n", "a function of 71 lines"),
    ("local/a.cc", "void f() {\n" + "  x();\n" * 68 + "}\n", None),
    ("docs/a.md", "see /work" + "/x\n", "not of this repository"),
    ("README.md", "see ../sha" + "red/x\n", "not of this repository"),
    ("cli/run.cc", '#include "base/log.h"\n', 'first include is "cli/run.h"'),
    ("flow/a.cc", "Task f() {\n  auto r = c ? co_await g() : 0;\n}\n", "a ?:"),
    ("flow/a.cc", "Task f() {\n  co_await g(Point{1, 2});\n}\n", "a {"),
    ("flow/a.cc", "Task f() {\n  co_await g({1, 2});\n}\n", "a {"),
    ("flow/a.cc", "Task f() {\n  Head h{co_await g()};\n}\n", "a {"),
    ("flow/a.cc", "Task f() {\n  co_await worker.run([batch] { work(batch); });\n}\n", "a {"),
    ("flow/a.cc", "Task f() {\n  co_await worker.run(\n      [&] { work(); });\n  x();\n}\n", "a {"),
    ("flow/a.cc", "Task f() {\n  co_return Pair{co_await g(), 1};\n}\n", "a {"),
    ("flow/a.cc", "Task f() {\n  if (auto x = co_await g(a ? 1 : 2); x) y();\n}\n", "a ?:"),
    ("flow/a.cc", "Task f() {\n  while (!done_) {\n    co_await bell_.wait();\n  }\n  if (x) {\n    co_await y();\n  }\n}\n", None),
    ("flow/a.cc", "Task f() {\n  auto r = co_await g();\n  if (co_await h(r)) {\n    auto z = c ? 1 : 2;\n  }\n}\n", None),
    ("flow/a.cc", "Task f() {\n  Head h{1, 2};\n  co_await g(h);\n  auto k = [x] { return x ? 1 : 2; };\n  co_await k2(k);\n}\n", None),
    ("flow/a.cc", 'Task f() {\n  // co_await ? {\n  co_await g("{?");\n}\n', None),
    ("flow/a.cc", "auto f = []() -> asio::awaitable<void> {\n  co_await g();\n};\n", None),
]


def self_test():
    failures = 0
    for path, text, expected in PLANTED:
        found = [what for _, _, what in check(path, text)]
        right = (not found) if expected is None else (len(found) == 1 and expected in found[0])
        if path == "cli/run.cc":
            right = any(expected in what for what in found)
        if not right:
            failures += 1
            print(f"{path}: expected {expected!r}, found {found}:\n{text[:300]}")
    print(f"house rules, self-test: {len(PLANTED)} planted texts, {failures} judged wrongly")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(self_test() if sys.argv[1:] == ["--self-test"] else main())

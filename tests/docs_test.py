#!/usr/bin/env python3
"""What the documents say must be there: links, files, commands, options, hash values.

    docs_test.py [--tailrace PROGRAM]     checks this repository; PROGRAM's --help is the truth about options
    docs_test.py --self-test              plants one mistake of each kind and expects each to be found

Reads README.md, CONTRIBUTING.md, CHANGELOG.md and docs/**/*.md, and in the sources every comment
that points to a document ('docs/protocol.md, "SEAL"' must have such a heading, bold word or anchor)."""

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CODE_FOLDERS = ("agent", "base", "bench", "center", "cli", "cmake", "flow", "local", "proto", "sinks", "tests")
MASK = (1 << 64) - 1


# --- the page -------------------------------------------------------------------------------------
def pages(root):
    found = [root / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md") if (root / name).exists()]
    return found + sorted((root / "docs").rglob("*.md"))


def anchors(text):
    names = set(re.findall(r'<a id="([^"]+)"', text))
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        heading = None if fenced else re.match(r"#+ (.*)", line)
        if heading:
            title = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading[1])
            names.add(re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-"))
    return names


def spans(text):
    """Everything written as code: lines of fenced blocks, and `spans` elsewhere."""
    fenced = False
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line
        else:
            yield from re.findall(r"`([^`]+)`", line)


# --- checks: each yields what is wrong with one page -------------------------------------------------
def check_links(root, page, text):
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.is_relative_to(root.resolve()) or not file.exists():
            yield f"link to {target}: there is no such file"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file.read_text()):
            yield f"link to {target}: there is no such heading"


def check_files(root, page, text):
    folders = "|".join(CODE_FOLDERS + ("docs", r"\.ci"))
    for span in spans(text):
        for name in re.findall(rf"(?<![\w/.<-])((?:{folders})/[\w./{{}},*-]*)", span):
            for path in expand(name.rstrip(".,")):
                if path == "cmake/" or any(root.glob(path.rstrip("/"))):
                    continue
                yield f"`{name}`: there is no {path}"


def expand(name):
    """lane.{h,cc} is lane.h and lane.cc."""
    braces = re.match(r"(.*)\{([^}]*)\}(.*)", name)
    return [braces[1] + each + braces[3] for each in braces[2].split(",")] if braces else [name]


def check_commands(root, page, text, dev_help):
    for span in spans(text):
        for command in re.findall(r"\./dev ([a-z]+)", span):
            if not re.search(rf"^  {command}\b", dev_help, re.M):
                yield f"`./dev {command}`: ./dev does not know it"


def check_options(root, page, text, helps):
    """Options in what is a command line of ours, or a span that is nothing but an option."""
    if page.name == "protocol.md" or not helps:
        return
    for span in spans(text):
        command = re.search(r"\./dev|\btailrace (run|cat)\b|\.py\b", span)
        if not command and not re.match(r"--[a-z]", span):
            continue
        known = helps
        if "./dev bench" in span or page.name == "performance.md":
            known += (root / "bench/run").read_text()
        if "./dev scale" in span or page.name == "scale.md":
            known += (root / "bench/scale.cc").read_text()
        for script in re.findall(r"[\w./-]+\.py", span):
            if (root / script).exists():
                known += (root / script).read_text()
        for option in re.findall(r"(?<![\w-])(--[a-z][a-z-]+)", span):
            if not re.search(rf"{option}(?![\w-])", known):
                yield f"`{option}`: no --help mentions it"


# --- hash values: an implementation of our own, that shares nothing with base/hash.cc ----------------
def crc32c(data, seed=0):
    crc = ~seed & 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return ~crc & 0xFFFFFFFF


def mix64(z):
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def chain(before, payload_crc, count):
    return mix64(mix64(before ^ payload_crc) ^ (count << 32 & MASK))


def rows(text, head):
    """Cells of the table whose header line begins with `head`."""
    lines = text.splitlines()
    start = next((i for i, line in enumerate(lines) if line.startswith("| " + head)), None)
    if start is None:
        return
    for line in lines[start + 2:]:
        if not line.startswith("|"):
            return
        yield [cell.strip(" `") for cell in line.strip("|").split("|")]


def check_hashes(root, page, text):
    if page != root / "docs/formats.md":
        return
    inputs = {"123456789": b"123456789", "32 bytes 00": bytes(32), "32 bytes ff": b"\xff" * 32}
    seen = 0
    for name, value in rows(text, "input | crc32c"):
        want = crc32c(b"6789", crc32c(b"12345")) if "after" in name else crc32c(inputs[name])
        seen += 1
        if int(value, 16) != want:
            yield f"crc32c of {name}: {value} should be {want:08x}"
    for z, value in rows(text, "z | mix64"):
        seen += 1
        if int(value, 16) != mix64(int(z, 16)):
            yield f"mix64 of {z}: {value} should be {mix64(int(z, 16)):016x}"
    for before, crc, count, value in rows(text, "before | payload crc"):
        want = chain(int(before, 16), int(crc, 16), int(count))
        seen += 1
        if int(value, 16) != want:
            yield f"chain after {before}: {value} should be {want:016x}"
    for local_id, sub, of8, of64 in rows(text, "local_id | sub"):
        hashed = mix64(int(local_id, 16) ^ mix64(int(sub)))
        seen += 1
        if (int(of8), int(of64)) != (hashed >> 61, hashed >> 58):
            yield f"lane part of {local_id}, {sub}: should be {hashed >> 61} and {hashed >> 58}"
    if seen < 15:
        yield f"only {seen} hash values found: the tables have moved"


# --- sources that point at documents ---------------------------------------------------------------
def check_sources(root):
    for folder in CODE_FOLDERS:
        for file in sorted((root / folder).rglob("*")):
            if file.suffix not in (".h", ".cc", ".proto"):
                continue
            text = re.sub(r"\n\s*// ?", " ", file.read_text())  # a reference may be broken over two lines
            for name, titles in re.findall(r'(docs/[\w/.-]+\.md)((?:(?:,| and) "[^"]+")*)', text):
                page = root / name
                if not page.exists():
                    yield f"{file.relative_to(root)}: points to {name}, which is not there"
                    continue
                body = page.read_text()
                marked = re.findall(r'^#+ (.*)$|\*\*([^*]+)\*\*|<a id="([^"]+)"', body, re.M)
                known = {re.sub(r"^[\d.]+ ", "", part) for found in marked for part in found if part}
                for title in re.findall(r'"([^"]+)"', titles):
                    if title not in known and title.lower().replace(" ", "-") not in known:
                        yield f'{file.relative_to(root)}: {name} has no "{title}"'


def check(root, dev_help, helps):
    for page in pages(root):
        text = page.read_text()
        for problem in (*check_links(root, page, text), *check_files(root, page, text),
                        *check_commands(root, page, text, dev_help), *check_options(root, page, text, helps),
                        *check_hashes(root, page, text)):
            yield f"{page.relative_to(root)}: {problem}"
    yield from check_sources(root)


def output_of(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def self_test(root):
    """A copy of the documents with mistakes planted: each must be found, and nothing else."""
    planted = {
        "link to docs/nowhere.md": "[x](docs/nowhere.md)",
        "link to docs/formats.md#nothing": "[x](docs/formats.md#nothing)",
        "there is no flow/no_such_file.h": "`flow/no_such_file.h`",
        "`./dev dance`": "`./dev dance`",
        "`--no-such-option`": "`tailrace run --no-such-option 1`",
    }
    wrong = 0
    with tempfile.TemporaryDirectory() as directory:
        copy = Path(directory)
        for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "NOTICE", "dev", "CMakeLists.txt"):
            if (root / name).exists():
                shutil.copy(root / name, copy / name)
        for folder in CODE_FOLDERS + ("docs", ".ci"):
            shutil.copytree(root / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
        dev_help, helps = output_of(root / "dev"), "--to --from"
        before = set(check(copy, dev_help, ""))
        readme = (copy / "README.md").read_text()
        for expected, line in planted.items():
            (copy / "README.md").write_text(readme + "\n" + line + "\n")
            found = set(check(copy, dev_help, helps if "option" in expected else "")) - before
            if not any(expected in problem for problem in found):
                print(f"self-test: not found: {line}")
                wrong += 1
        (copy / "README.md").write_text(readme)
        formats = copy / "docs/formats.md"
        formats.write_text(formats.read_text().replace("e3069283", "e3069284", 1))
        (copy / "base/planted.h").write_text('// docs/protocol.md, "No such rule".\n')
        found = set(check(copy, dev_help, "")) - before
        if len(found) != 2:
            print(f"self-test: a wrong hash and a wrong reference gave {found}")
            wrong += 1
    print(f"self-test: {len(planted) + 2} planted, {wrong} wrong")
    return wrong


def main():
    root = Path(__file__).resolve().parent.parent
    if "--self-test" in sys.argv:
        sys.exit(1 if self_test(root) else 0)
    dev_help, helps = output_of(root / "dev"), ""
    if "--tailrace" in sys.argv:
        program = sys.argv[sys.argv.index("--tailrace") + 1]
        commands = ((), *((word,) for word in ("run", "cat", "check", "config", "status", "centers", "drain",
                                                "rebalance", "spool", "topics")))
        helps = dev_help + "".join(output_of(program, *words, "--help") for words in commands)
    problems = list(check(root, dev_help, helps))
    for problem in problems:
        print(problem)
    print(f"{len(pages(root))} pages, {len(problems)} problems")
    sys.exit(1 if problems else 0)


if __name__ == "__main__":
    main()

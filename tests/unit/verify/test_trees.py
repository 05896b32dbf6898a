#!/usr/bin/python3
"""The trees of fanal-verify and those of the second verifier agree: on the published proofs, on 10,000 random trees, and on
what was done to them. argv[1]: verify_tree."""
import os
import random
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "oracles"))
import forge  # noqa: E402
import verify as v  # noqa: E402

TREES = 10000
SEED = 20261128
INPUTS = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
# The proofs of the Certificate Transparency reference for its eight inputs: (index, size), path.
N01, N23 = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125", "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
N45, N67 = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a", "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
N03, N47 = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7", "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
L0, L1 = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d", "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
L4 = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
ROOT8 = "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"
INCLUSION = {(0, 8): [L1, N23, N47], (5, 8): [L4, N67, N03], (2, 3): [N01], (1, 5): [L0, N23, L4], (0, 1): []}
CONSISTENCY = {(1, 1): [], (1, 8): [L1, N23, N47], (6, 8): [N45, N67, N03], (2, 5): [N23, L4]}


class Batch:
    """Questions for the C side, with what the Python side says."""

    def __init__(self):
        self.lines, self.want, self.about = [], [], []

    def ask(self, line, want, about):
        self.lines.append(line)
        self.want.append(want)
        self.about.append(about)

    def inclusion(self, m, n, leaf, root, path, about):
        want = v.root_from_inclusion(path, m, n, leaf) == root
        self.ask(f"inclusion {m} {n} {leaf.hex()} {root.hex()} {b''.join(path).hex() or '-'}", str(int(want)), about)
        return want

    def consistency(self, m, a, n, b, path, about):
        want = v.consistent(path, m, a, n, b)
        self.ask(f"consistency {m} {a.hex()} {n} {b.hex()} {b''.join(path).hex() or '-'}", str(int(want)), about)
        return want


def published(batch):
    leaves = [v.leaf_hash(bytes.fromhex(i)) for i in INPUTS]
    good = v.tree_root(leaves).hex() == ROOT8
    batch.ask("root " + b"".join(leaves).hex(), ROOT8, "published root")
    for (m, n), path in INCLUSION.items():
        path = [bytes.fromhex(h) for h in path]
        good &= forge.inclusion(leaves[:n], m) == path
        good &= batch.inclusion(m, n, leaves[m], v.tree_root(leaves[:n]), path, f"published inclusion {m} {n}")
    for (m, n), path in CONSISTENCY.items():
        path = [bytes.fromhex(h) for h in path]
        good &= forge.consistency(leaves[:n], m) == path
        good &= batch.consistency(m, v.tree_root(leaves[:m]), n, v.tree_root(leaves[:n]), path, f"published consistency {m} {n}")
    return good


def spoil(r, path):
    """A path with one thing done to it."""
    path = list(path)
    way = r.randrange(5)
    if way == 0 and path:
        i = r.randrange(len(path))
        path[i] = bytes([path[i][0] ^ 1]) + path[i][1:]
    elif way == 1 and path:
        path.pop(r.randrange(len(path)))
    elif way == 2 and len(path) > 1:
        i = r.randrange(len(path) - 1)
        path[i], path[i + 1] = path[i + 1], path[i]
    elif way == 3:
        path.insert(r.randrange(len(path) + 1), r.randbytes(32))
    else:
        path.append(path[-1] if path else bytes(32))
    return path


def one_tree(r, batch, i):
    n = r.randrange(1, 300 if i % 100 == 0 else 24)
    leaves = [r.randbytes(32) for _ in range(n)]
    at, m = r.randrange(n), r.randrange(1, n + 1)
    root, first = v.tree_root(leaves), v.tree_root(leaves[:m])
    path, way = forge.inclusion(leaves, at), forge.consistency(leaves, m)
    good = batch.inclusion(at, n, leaves[at], root, path, f"tree {i}") and batch.consistency(m, first, n, root, way, f"tree {i}")
    batch.ask("root " + b"".join(leaves).hex(), root.hex(), f"tree {i}")
    other = spoil(r, path)
    good &= not batch.inclusion(at, n, leaves[at], root, other, f"tree {i} spoilt") or other == path
    good &= n == 1 or not batch.inclusion((at + 1) % n, n, leaves[at], root, path, f"tree {i} elsewhere")
    other = spoil(r, way)
    good &= not batch.consistency(m, first, n, root, other, f"tree {i} spoilt") or other == way
    good &= m == n or not batch.consistency(m, root, n, first, way, f"tree {i} turned round")
    return good


def main():
    r, batch = random.Random(SEED), Batch()
    print("1..3")
    good = published(batch)
    print("ok 1" if good else "not ok 1", "- the published proofs are what the second verifier says")
    good = all([one_tree(r, batch, i) for i in range(TREES)])
    print("ok 2" if good else "not ok 2", f"- {TREES} random trees (seed {SEED}): true is proven, and nothing else")
    got = subprocess.run([sys.argv[1]], input="\n".join(batch.lines) + "\n", capture_output=True, text=True, check=True).stdout.split()
    wrong = [a for g, w, a in zip(got, batch.want, batch.about) if g != w]
    good = len(got) == len(batch.want) and not wrong
    print("ok 3" if good else "not ok 3", f"- fanal-verify agrees on {len(batch.want)} questions")
    for a in wrong[:5]:
        print("#", a)


main()

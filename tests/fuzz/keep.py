#!/usr/bin/env python3
"""Chooses a small corpus: keep.py CONTROL FOLDER. CONTROL is what libFuzzer wrote down at a merge with -set_cover_merge=1 (which input has
which features), FOLDER gets the 40 inputs of 40 kB at most that have the most. What has a name of its own stays."""
import hashlib
import os
import re
import sys

MOST_FILES, MOST_BYTES = 40, 40_000

control, folder = sys.argv[1:]
lines = open(control).read().splitlines()
count = int(lines[0])
names, sizes, features = lines[2 : 2 + count], {}, {}
for line in lines[2 + count :]:
    kind, index, *numbers = line.split()
    if kind == "STARTED":
        sizes[int(index)] = int(numbers[0])
    elif kind == "FT":
        features[int(index)] = set(numbers)

chosen, have, total = [], set(), 0
while len(chosen) < MOST_FILES:
    # The most news; of that a byte costs a little.
    fitting = (i for i in features if total + sizes[i] <= MOST_BYTES)
    best = max(fitting, key=lambda i: len(features[i] - have) / (sizes[i] + 400), default=None)
    if best is None or features[best] <= have:
        break
    chosen.append(open(names[best], "rb").read())
    have |= features[best]
    total += sizes[best]

os.makedirs(folder, exist_ok=True)
for name in os.listdir(folder):
    if re.fullmatch("[0-9a-f]{40}", name):
        os.remove(f"{folder}/{name}")
for content in chosen:
    with open(f"{folder}/{hashlib.sha1(content).hexdigest()}", "wb") as file:
        file.write(content)
print(f"{folder}: {len(chosen)} inputs, {total} bytes, {len(have)} of {len(set().union(*features.values()))} features")

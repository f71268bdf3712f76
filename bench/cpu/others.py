"""Leaves in a log only what parts other than these measured, for a page of several runs.  python others.py LOG ,PART,PART,"""
import json
import os
import sys

log, parts = sys.argv[1:]
with open(log) as f:
    lines = [(json.loads(line), line) for line in f]
if any("part" not in row for row, _ in lines):
    sys.exit(f"{log} does not say which part of a run its lines are of: an earlier version wrote it. Measure everything, without KEEP.")
kept = [line for row, line in lines if "," + row["part"] + "," not in parts]
with open(log + ".tmp", "w") as f:
    f.writelines(kept)
os.replace(log + ".tmp", log)

"""Leaves in a log only what parts other than these measured, for a page of several runs.  python others.py LOG ,PART,PART,"""
import json
import os
import sys

log, parts = sys.argv[1:]
with open(log) as f:
    kept = [line for line in f if "," + json.loads(line)["part"] + "," not in parts]
with open(log + ".tmp", "w") as f:
    f.writelines(kept)
os.replace(log + ".tmp", log)

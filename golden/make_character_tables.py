#!/usr/bin/env python3
"""Writes models/src/main/resources/dev/jotune/models/tokenizer/characters.txt.

Hugging Face's tokenizers decides what punctuation, control characters and marks are by the tables of an older Unicode
than Java's; a character added since counts as none of them, and no normalization form changes it. This asks the library (pip install tokenizers) about every
character. Run: python golden/make_character_tables.py > models/src/main/resources/.../characters.txt
"""
from tokenizers import normalizers, pre_tokenizers

ALL = [chr(c) for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def bert(**changes):
    options = dict(clean_text=False, handle_chinese_chars=False, strip_accents=False, lowercase=False)
    return normalizers.BertNormalizer(**(options | changes))


def ranges(characters):
    found = []
    for c in map(ord, characters):
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return " ".join(f"{a:X}" if a == b else f"{a:X}-{b:X}" for a, b in found)


def reordered(c):
    """Whether the mark c has a place among other marks (a combining class)."""
    return nfd.normalize_str("\u0345" + c) != "\u0345" + c and c != "\u0345"


nfd, nfkd = normalizers.NFD(), normalizers.NFKD()
normalized = {c for c in ALL if nfkd.normalize_str(c) != c or reordered(c)} | {"\u0345"}
normalized |= {part for c in normalized for part in nfd.normalize_str(c)}
punctuation = pre_tokenizers.Punctuation("isolated")
clean, unmarked, stripped = bert(clean_text=True), bert(strip_accents=True), normalizers.StripAccents()
print("punctuation", ranges(c for c in ALL if len(punctuation.pre_tokenize_str("a" + c + "a")) == 3))
print("control", ranges(c for c in ALL if clean.normalize_str("a" + c + "a") == "aa"))
print("nonspacing", ranges(c for c in ALL if not unmarked.normalize_str(c)))
print("combining", ranges(c for c in ALL if not stripped.normalize_str(c)))
print("normalized", ranges(c for c in ALL if c in normalized))

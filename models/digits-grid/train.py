"""Trains `digits-grid`, the digit classifier for a table of 100 numbers, and writes its whole folder but this script.

    python models/digits-grid/train.py --data DIR
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
from sklearn.linear_model import LogisticRegression
from torch import nn

GRID = 10
SEED = 0
EPOCHS = 25
BATCH = 64
PEAK_LEARNING_RATE = 4e-3
# What a caller writes down: a brightness with this many digits after the point.
DECIMALS = 3
# Corner cells are dark in nearly every image; divided by their own deviation, a speck there would outshout the digit.
LEAST_DEVIATION = 0.05
SAMPLES = [0, 3, 7]


class DigitsGrid(nn.Module):
    """Two hidden layers of 64 over 100 features: the dense net of the tabular tutorials."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(GRID * GRID, 64)
        self.second = nn.Linear(64, 64)
        self.classifier = nn.Linear(64, 10)
        self.dropout = nn.Dropout(0.1)

    def forward(self, features):
        hidden = self.dropout(F.relu(self.first(features)))
        return self.classifier(self.dropout(F.relu(self.second(hidden))))


def cell_weights():
    """[10, 28]: which share of each cell's edge every pixel row covers; a cell is 2.8 pixels wide."""
    edge = mnist.SIDE / GRID
    starts, pixels = np.arange(GRID)[:, None] * edge, np.arange(mnist.SIDE)[None, :]
    overlap = np.minimum(starts + edge, pixels + 1) - np.maximum(starts, pixels)
    return np.clip(overlap, 0, None) / edge


def as_cells(pixels):
    """Images to their 100 features: the mean brightness of each cell, row by row, as a caller would write it."""
    weights = cell_weights()
    cells = weights @ mnist.as_brightness(pixels)[:, 0].astype(np.float64) @ weights.T
    return cells.reshape(-1, GRID * GRID).round(DECIMALS)


def scaling(cells):
    """(mean, deviation) of each feature, as `weir.json` carries them."""
    return cells.mean(axis=0).round(DECIMALS), np.maximum(cells.std(axis=0), LEAST_DEVIATION).round(DECIMALS)


def as_features(cells, mean, deviation):
    """What the network takes: what a worker makes of a record by `weir.json`."""
    return ((cells - mean) / deviation).astype(np.float32)


def train(features, labels):
    inputs, targets = torch.from_numpy(features), torch.from_numpy(labels)
    network = DigitsGrid()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=5e-2)
    steps = EPOCHS * -(-len(inputs) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=steps)
    network.train()
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(inputs)).split(BATCH):
            loss = F.cross_entropy(network(inputs[rows]), targets[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: last training loss {loss.item():.4f}", flush=True)
    return network


def feature_names():
    return [f"p{row}{column}" for row in range(GRID) for column in range(GRID)]


def write_configuration(folder):
    common.write_json(folder / "config.json", {
        "architectures": ["DigitsGrid"],
        "model_type": "digits-grid",
        "num_features": GRID * GRID,
        "hidden_sizes": [64, 64],
        "id2label": {str(digit): str(digit) for digit in range(10)},
        "label2id": {str(digit): digit for digit in range(10)},
    })


def write_weir(folder, accuracy, mean, deviation, samples):
    """`samples`: (digit, its 100 cells) to try. A cell that a record lacks is dark."""
    names = feature_names()
    common.write_json(folder / "weir.json", {
        "task": "tabular-classification",
        "displayName": "Digits from a grid",
        "description": "Names the handwritten digit in a table of 100 numbers: the brightness of a 10×10 grid, "
                       "p00 (top left) to p99 (bottom right).",
        "licence": "CC-BY-SA-3.0",
        "tags": ["digits", "mnist", "tabular", "starter"],
        "tabular": {"features": [
            {
                "kind": "number", "name": name, "mean": float(mean[at]), "deviation": float(deviation[at]),
                "minimum": 0, "maximum": 1, "default": 0,
            }
            for at, name in enumerate(names)
        ]},
        "metrics": [{
            "name": "accuracy",
            "value": accuracy,
            "dataset": "MNIST t10k, averaged to 10×10",
            "split": "held-out 1,000 images",
            "n": mnist.HELD_OUT,
        }],
        "examples": [
            {
                "input": {"record": {name: float(cell) for name, cell in zip(names, cells) if cell > 0}},
                "expected": {"label": str(digit)},
            }
            for digit, cells in samples
        ],
    })


def card(accuracy, linear_accuracy, parameters, weakest):
    """The model card; `weakest` is the (digit, right, total) that the model reads worst."""
    digit, right, total = weakest
    return f"""
---
license: cc-by-sa-3.0
pipeline_tag: tabular-classification
library_name: onnx
tags: [digits, mnist, tabular, onnx]
metrics: [accuracy]
---

# Digits from a grid

Names the handwritten digit, 0 to 9, in a table of 100 numbers: a 28×28 picture averaged down to 10×10 cells.

| | |
|---|---|
| network | Dense 100, 64, 64, 10 with ReLU; {parameters:,} parameters; ONNX opset {common.ONNX_OPSET} |
| input | `features`, float32 `[batch, 100]`: for each cell (brightness − mean) / deviation, both in `weir.json` |
| record | `p00` to `p99`, row and column of the cell, brightness 0 to 1, ink is 1; a cell that is left out is 0 |
| output | `logits`, float32 `[batch, 10]`; softmax gives probabilities |
| training data | 9,000 of the 10,000 MNIST t10k images, the same as for `digits` |
| **held-out accuracy** | **{accuracy:.3f}** on the other {mnist.HELD_OUT:,} images, measured on `onnx/model.onnx` in ONNX Runtime |
| yardstick | logistic regression on the same 100 numbers: {linear_accuracy:.3f} |
| weakest digit | {digit}: {right} of {total} right |
| licence | CC BY-SA 3.0 for the weights and the example rows, as for the data |

## How it was made

`python models/digits-grid/train.py --data DIR` (see `../README.md`): seed {SEED}, {EPOCHS} epochs on a CPU. A cell is 2.8 pixels
wide: a pixel on its border counts with the share that lies inside. Features are rounded to {DECIMALS} digits after the point
before anything is learned or measured. The script chooses nothing by the held-out images.

## Limits

- It stands for models of tables; for pictures `../digits` is better. It does not know that neighbouring cells
  belong together, so a digit that is shifted by one cell may be misread.
- Trained on digits that are centred as MNIST does it.
- Every record gets a digit, also one that shows none.

## Files

The records in `weir.json` are held-out images that the model reads correctly: for each digit shown, the first such
one, cells of brightness 0 left out. `example.json` holds a raw request and response (Open Inference Protocol v2)
with a tolerance. Data: MNIST, Y. LeCun, C. Cortes, C. J. C. Burges, CC BY-SA 3.0; see `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    common.make_deterministic(SEED)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    (training_pixels, training_labels), (pixels, labels) = mnist.load(arguments.data)
    training_cells, cells = as_cells(training_pixels), as_cells(pixels)
    mean, deviation = scaling(training_cells)
    training_features, features = as_features(training_cells, mean, deviation), as_features(cells, mean, deviation)

    network = train(training_features, training_labels)
    model_path = out / "onnx" / "model.onnx"
    common.export_onnx(
        network, (torch.zeros(2, GRID * GRID),), model_path,
        ["features"], {"features": {0: "batch"}, "logits": {0: "batch"}},
    )

    session = common.open_session(model_path)
    (logits,) = session.run(["logits"], {"features": features})
    predictions = logits.argmax(-1)
    accuracy = float((predictions == labels).mean())
    linear = LogisticRegression(max_iter=2000).fit(training_features, training_labels)
    linear_accuracy = float(linear.score(features, labels))
    print(f"held-out accuracy {accuracy}, logistic regression {linear_accuracy} (n = {len(labels)})")
    per_digit = [(d, int((predictions[labels == d] == d).sum()), int((labels == d).sum())) for d in range(10)]
    weakest = min(per_digit, key=lambda row: row[1] / row[2])

    rows = {digit: int(np.flatnonzero((labels == digit) & (predictions == digit))[0]) for digit in SAMPLES}
    write_configuration(out)
    write_weir(out, accuracy, mean, deviation, [(digit, cells[row]) for digit, row in rows.items()])
    chosen = features[list(rows.values())]
    example = common.open_inference_example(session, {"features": chosen}, predicted=[str(digit) for digit in rows])
    common.write_json(out / "example.json", example, compact=True)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    common.write_card(out / "README.md", card(accuracy, linear_accuracy, parameters, weakest))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()

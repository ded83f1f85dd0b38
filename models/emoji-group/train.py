"""Trains `emoji-group`, which names the group of an emoji picture, and writes its whole folder but this script.

    python models/emoji-group/train.py --data DIR

Every emoji stands in two designs, Google's and Twitter's. Held out are emoji in both designs and all skin tones, so that
the network is asked about things it has never seen drawn.
"""

import io
import json
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "training"))

import common  # first: it fixes the number of threads

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from sklearn.linear_model import LogisticRegression
from torch import nn

EMOJI = ("emoji.json", "1d602e65be88772bf8cc368ce16b855d719eeddbafe128d471b80203f494d29f")
SHEETS = {
    "google": ("emoji-google-32.png", "b417e9f6cd4bbc10656bbfd5e13b6e9a2545b55e6a4cf7312d75be1faaa34952"),
    "twitter": ("emoji-twitter-32.png", "2767ef2e87cbfb6cc12ac46596c339549afaf0ae8771cf51100c8853f6bde632"),
}
# Each picture on a sheet has an empty pixel around it.
SIDE, PITCH = 32, 34
# Beginnings of Unicode's names of subgroups, in its data for emoji.
GROUPS = {
    "animal": ("animal-", "cat-face", "monkey-face"),
    "clothing": ("clothing",),
    "face": ("face-",),
    "flag": ("flag", "country-flag", "subdivision-flag"),
    "food": ("food-", "drink"),
    "hand": ("hand",),
    "person": ("person", "family"),
    "place": ("place-", "hotel"),
    "sign": (
        "alphanum", "arrow", "av-symbol", "currency", "gender", "geometric", "keycap", "math", "other-symbol", "punctuation",
        "religion", "transport-sign", "warning", "zodiac",
    ),
    "vehicle": ("transport-air", "transport-ground", "transport-water"),
}
LABELS = list(GROUPS)
# What lies under a picture that is transparent, here and in a worker.
PAPER = (255, 255, 255)
HELD_OUT_SHARE = 0.2
SEED = 0
EPOCHS = 60
PICTURES_PER_GROUP_AND_EPOCH = 400
BATCH = 64
PEAK_LEARNING_RATE = 4e-3
MAX_SHIFT_PIXELS = 3
SAMPLES = ["animal", "flag", "food", "vehicle"]


@dataclass(frozen=True)
class Emoji:
    """A picture on each sheet: where it stands there, and of which emoji it is a skin tone."""

    name: str
    group: int
    tone: str | None
    column: int
    row: int


class EmojiCnn(nn.Module):
    """Two convolutions, 6 and 16 channels wide, and three dense layers: the net of the classic CIFAR-10 tutorials."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 6, kernel_size=5)
        self.second = nn.Conv2d(6, 16, kernel_size=5)
        self.dense = nn.Linear(16 * 5 * 5, 120)
        self.hidden = nn.Linear(120, 84)
        self.classifier = nn.Linear(84, len(LABELS))
        self.dropout = nn.Dropout(0.2)

    def forward(self, pixel_values):
        features = F.max_pool2d(F.relu(self.first(pixel_values)), 2)
        features = F.max_pool2d(F.relu(self.second(features)), 2).flatten(1)
        features = self.dropout(F.relu(self.dense(features)))
        return self.classifier(self.dropout(F.relu(self.hidden(features))))


def group_of(subgroup):
    """Number of the group, or None where the subgroup is in none."""
    return next((at for at, label in enumerate(LABELS) if subgroup.startswith(GROUPS[label])), None)


def load_emoji(data_folder):
    """Emoji that are in a group, with their skin tones, in the order of the file."""
    found = []
    for entry in json.loads(common.checked_bytes(data_folder, *EMOJI)):
        group = group_of(entry["subcategory"])
        pictures = [(None, entry), *entry.get("skin_variations", {}).items()]
        for tone, picture in pictures:
            # Two people of different tones are left out: there would be more of them than of everything else.
            is_drawn = all(picture[f"has_img_{design}"] for design in SHEETS)
            if group is not None and is_drawn and "-" not in (tone or ""):
                found.append(Emoji(entry["short_name"], group, tone, picture["sheet_x"], picture["sheet_y"]))
    return found


def load_pictures(data_folder, emoji):
    """{design: pictures}, uint8 [emoji, 32, 32, 4], the last axis red, green, blue and opacity."""
    pictures = {}
    for design, file in SHEETS.items():
        sheet = np.asarray(Image.open(io.BytesIO(common.checked_bytes(data_folder, *file))).convert("RGBA"))
        corners = [(one.row * PITCH + 1, one.column * PITCH + 1) for one in emoji]
        pictures[design] = np.stack([sheet[top:top + SIDE, left:left + SIDE] for top, left in corners])
    return pictures


def held_out_names(emoji):
    """A fifth of the emoji of each group."""
    generator = np.random.default_rng(SEED)
    names = set()
    for group in range(len(LABELS)):
        candidates = [one.name for one in emoji if one.group == group and one.tone is None]
        names.update(generator.permutation(candidates)[:round(len(candidates) * HELD_OUT_SHARE)].tolist())
    return names


def on_background(pictures, colours):
    """RGBA on a plain ground each, as uint8 RGB."""
    opacity = pictures[..., 3:].astype(np.float32) / 255
    mixed = pictures[..., :3] * opacity + np.asarray(colours, np.float32).reshape(-1, 1, 1, 3) * (1 - opacity)
    return mixed.round().astype(np.uint8)


def of_both_designs(pictures, rows):
    """The pictures of these emoji, one design after the other."""
    return np.concatenate([pictures[design][rows] for design in SHEETS])


def as_input(pictures):
    """uint8 RGB to what the model takes: channels first, -1 to 1."""
    return ((pictures.astype(np.float32) / 255 - 0.5) / 0.5).transpose(0, 3, 1, 2).copy()


def varied(pictures, generator):
    """The batch on grounds of chance, some mirrored, all shifted by up to three pixels."""
    grounds = np.where(generator.random((len(pictures), 1)) < 0.5, 255, generator.integers(0, 256, (len(pictures), 3)))
    batch = on_background(pictures, grounds)
    mirrored = generator.random(len(batch)) < 0.5
    batch[mirrored] = batch[mirrored][:, :, ::-1]
    top, left = generator.integers(0, 2 * MAX_SHIFT_PIXELS + 1, size=2)
    padded = np.pad(batch, ((0, 0), (MAX_SHIFT_PIXELS,) * 2, (MAX_SHIFT_PIXELS,) * 2, (0, 0)), mode="edge")
    return as_input(padded[:, top:top + SIDE, left:left + SIDE])


def train(pictures, groups):
    """`pictures` in RGBA. Each epoch sees as many of each group, however many there are."""
    generator = np.random.default_rng(SEED)
    members = [np.flatnonzero(groups == group) for group in range(len(LABELS))]
    network = EmojiCnn()
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=3e-2)
    steps = EPOCHS * -(-len(LABELS) * PICTURES_PER_GROUP_AND_EPOCH // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=steps)
    network.train()
    for epoch in range(EPOCHS):
        drawn = np.concatenate([generator.choice(rows, PICTURES_PER_GROUP_AND_EPOCH) for rows in members])
        order = generator.permutation(drawn)
        for start in range(0, len(order), BATCH):
            rows = order[start:start + BATCH]
            logits = network(torch.from_numpy(varied(pictures[rows], generator)))
            loss = F.cross_entropy(logits, torch.from_numpy(groups[rows]), label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"epoch {epoch + 1}/{EPOCHS}: last training loss {loss.item():.4f}", flush=True)
    return network


def linear_yardstick(pictures, groups, shown):
    """What logistic regression on the pixels says of the pictures `shown`."""
    flat = [as_input(several).reshape(len(several), -1) for several in (pictures, shown)]
    model = LogisticRegression(C=1e-4, max_iter=2000, class_weight="balanced").fit(flat[0], groups)
    return model.predict(flat[1])


def mean_over_groups(predictions, groups):
    """Accuracy in which each group weighs the same, and that of each."""
    each = [float((predictions[groups == group] == group).mean()) for group in range(len(LABELS))]
    return float(np.mean(each)), each


def write_samples(folder, pictures, groups, predictions):
    """For each group of SAMPLES the first held-out picture that the model gets right; returns their rows."""
    (folder / "examples").mkdir(exist_ok=True)
    rows = []
    for label in SAMPLES:
        group = LABELS.index(label)
        rows.append(int(np.flatnonzero((groups == group) & (predictions == group))[0]))
        Image.fromarray(pictures[rows[-1]]).save(folder / "examples" / f"{label}.png", optimize=True)
    return rows


def write_configuration(folder):
    common.write_json(folder / "config.json", {
        "architectures": ["EmojiCnn"],
        "model_type": "emoji-cnn",
        "image_size": SIDE,
        "num_channels": 3,
        "id2label": {str(at): label for at, label in enumerate(LABELS)},
        "label2id": {label: at for at, label in enumerate(LABELS)},
    })
    common.write_json(folder / "preprocessor_config.json", {
        "image_processor_type": "ViTImageProcessor",
        "do_convert_rgb": True,
        "do_resize": True,
        "size": {"height": SIDE, "width": SIDE},
        "resample": 2,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
    })


def write_weir(folder, accuracy, balanced, count):
    figures = {"dataset": "emoji-datasource 16.0.0, Google and Twitter", "split": "held-out emoji", "n": count}
    common.write_json(folder / "weir.json", {
        "task": "image-classification",
        "displayName": "Emoji groups",
        "description": "Names what an emoji picture shows: animal, clothing, face, flag, food, hand, person, place, sign or vehicle. "
                       "A small convolutional net for 32×32 colour pictures.",
        "licence": "CC-BY-4.0",
        "tags": ["emoji", "vision", "starter"],
        "image": {"colour": "rgb", "layout": "nchw"},
        "metrics": [
            {"name": "accuracy, mean of the groups", "value": round(balanced, 4), **figures},
            {"name": "accuracy", "value": round(accuracy, 4), **figures},
        ],
        "examples": [{"input": {"imageFile": f"examples/{label}.png"}, "expected": {"label": label}} for label in SAMPLES],
    })


def card(accuracy, balanced, each, linear, counts, parameters):
    """The model card; `counts` are (training pictures, held-out pictures, held-out emoji), `linear` the yardstick's accuracy."""
    training, held_out, names = counts
    by_group = ", ".join(f"{label} {share:.2f}" for label, share in sorted(zip(LABELS, each), key=lambda pair: -pair[1]))
    return f"""
---
license: cc-by-4.0
pipeline_tag: image-classification
library_name: onnx
tags: [emoji, onnx]
metrics: [accuracy]
---

# Emoji groups

Names what a 32×32 colour picture of an emoji shows: {", ".join(LABELS[:-1])} or {LABELS[-1]}.

| | |
|---|---|
| network | Conv 3→6 (5×5), MaxPool 2, Conv 6→16 (5×5), MaxPool 2, Dense 400, 120, 84, 10 with ReLU; {parameters:,} parameters; ONNX opset {common.ONNX_OPSET} |
| input | `pixel_values`, float32 `[batch, 3, 32, 32]`, red, green, blue, -1 to 1 |
| output | `logits`, float32 `[batch, 10]`; softmax gives probabilities |
| training data | {training:,} pictures: emoji as Google and Twitter draw them, with their skin tones |
| **held-out accuracy** | **{balanced:.3f}** as the mean of the ten groups, {accuracy:.3f} over all pictures, on {held_out:,} pictures of {names} other emoji, measured on `onnx/model.onnx` in ONNX Runtime |
| by group | {by_group} |
| yardstick | logistic regression on the pixels: {linear:.3f} as the mean of the groups |
| licence | CC BY 4.0 for the weights |

## How it was made

`python models/emoji-group/train.py --data DIR` (see `../README.md`): seed {SEED}, {EPOCHS} epochs on a CPU, as many pictures of each
group in every epoch, on grounds of any colour, some mirrored, shifted by up to {MAX_SHIFT_PIXELS} pixels. The groups follow the subgroups
of Unicode's emoji data; emoji of other subgroups (tools, plants, weather and so on) are left out. Of a fifth of the
emoji of each group neither design was seen in training; skin tones are not counted in the measurement.
The script chooses nothing by the held-out pictures.

## Limits

- It has the shape of the classic CIFAR-10 network, but CIFAR-10 has no licence that allows a copy: this is trained on
  drawings. It knows nothing of photographs.
- Held-out emoji are other things in the same two designs: expect less for a third designer's.
- Every picture gets one of the ten groups, also one that shows something else.

## Files

`examples/*.png` are held-out pictures that the model reads correctly: for each group shown, the first such one.
`example.json` holds a raw request and response (Open Inference Protocol v2) with a tolerance.
Pictures: Noto Emoji (Apache-2.0) and Twemoji (CC BY 4.0); see `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    common.make_deterministic(SEED)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    emoji = load_emoji(arguments.data)
    pictures = load_pictures(arguments.data, emoji)
    names = held_out_names(emoji)
    training = np.array([one.name not in names for one in emoji])
    held_out = np.array([one.name in names and one.tone is None for one in emoji])
    groups = np.array([one.group for one in emoji], dtype=np.int64)
    training_pictures, training_groups = of_both_designs(pictures, training), np.tile(groups[training], len(SHEETS))
    print(Counter(LABELS[group] for group in training_groups), int(held_out.sum()), "emoji held out")

    network = train(training_pictures, training_groups)
    model_path = out / "onnx" / "model.onnx"
    common.export_onnx(
        network, (torch.zeros(2, 3, SIDE, SIDE),), model_path,
        ["pixel_values"], {"pixel_values": {0: "batch"}, "logits": {0: "batch"}},
    )

    shown = on_background(of_both_designs(pictures, held_out), PAPER)
    true_groups = np.tile(groups[held_out], len(SHEETS))
    session = common.open_session(model_path)
    (logits,) = session.run(["logits"], {"pixel_values": as_input(shown)})
    predictions = logits.argmax(-1)
    accuracy = float((predictions == true_groups).mean())
    balanced, each = mean_over_groups(predictions, true_groups)
    linear_predictions = linear_yardstick(on_background(training_pictures, PAPER), training_groups, shown)
    linear, _ = mean_over_groups(linear_predictions, true_groups)
    print(f"held-out accuracy {accuracy}, mean of groups {balanced}, logistic regression {linear} (n = {len(true_groups)})")

    rows = write_samples(out, shown, true_groups, predictions)
    write_configuration(out)
    write_weir(out, accuracy, balanced, len(true_groups))
    example = common.open_inference_example(session, {"pixel_values": as_input(shown[rows[:1]])}, predicted=SAMPLES[:1])
    common.write_json(out / "example.json", example, compact=True)
    parameters = sum(parameter.numel() for parameter in network.parameters())
    counts = (len(training_groups), len(true_groups), len(names))
    common.write_card(out / "README.md", card(accuracy, balanced, each, linear, counts, parameters))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()

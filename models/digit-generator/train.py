"""Trains `digit-generator`, a variational autoencoder of handwritten digits, and writes its whole folder but this script.

    python models/digit-generator/train.py --data DIR

Two stages. An autoencoder learns to write each image down as a latent, and to draw it from there. But the latents of real
images fill the space unevenly, and a latent drawn at random mostly lies between digits. So a flow, an invertible network,
then learns to turn random numbers into latents like those of real images. The folder carries flow and decoder in one
network, which draws; the way back serves the training and the measurement.
"""

import sys
import tempfile
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

# The reader that judges the drawings.
DIGITS_MODEL = FOLDER.parent / "digits" / "onnx" / "model.onnx"
LATENT = 16
SEED = 0
EPOCHS = 30
BATCH = 64
PEAK_LEARNING_RATE = 2e-3
FLOW_STEPS, FLOW_WIDTH = 8, 96
FLOW_EPOCHS = 60
FLOW_BATCH = 128
FLOW_PEAK_LEARNING_RATE = 3e-3
# One step of the flow stretches or shrinks a number by at most a factor of e to this: keeps the training stable.
MAX_LOG_SCALE = 1.5
MAX_SHIFT_PIXELS = 1
DRAWN = 1000
CONFIDENT = 0.9
SHEET_ROWS, SHEET_COLUMNS = 4, 10


class Encoder(nn.Module):
    """A picture to the mean and the logarithm of the variance of its latent."""

    def __init__(self):
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(1, 32, kernel_size=4, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(32, 64, kernel_size=4, stride=2, padding=1), nn.ReLU(),
            nn.Flatten(), nn.Linear(64 * 7 * 7, 128), nn.ReLU(),
        )
        self.mean = nn.Linear(128, LATENT)
        self.log_variance = nn.Linear(128, LATENT)

    def forward(self, image):
        features = self.convolutions(image)
        return self.mean(features), self.log_variance(features)


class Decoder(nn.Module):
    """A latent to the logits of a picture's brightness."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Sequential(nn.Linear(LATENT, 128), nn.ReLU(), nn.Linear(128, 64 * 7 * 7), nn.ReLU())
        self.convolutions = nn.Sequential(
            nn.ConvTranspose2d(64, 32, kernel_size=4, stride=2, padding=1), nn.ReLU(),
            nn.ConvTranspose2d(32, 1, kernel_size=4, stride=2, padding=1),
        )

    def forward(self, latent):
        return self.convolutions(self.dense(latent).reshape(-1, 64, 7, 7))


class FlowStep(nn.Module):
    """An affine coupling: one half of the numbers stays, and says how the other half is scaled and moved."""

    def __init__(self, is_swapped):
        super().__init__()
        self.is_swapped = is_swapped
        self.network = nn.Sequential(
            nn.Linear(LATENT // 2, FLOW_WIDTH), nn.ReLU(), nn.Linear(FLOW_WIDTH, FLOW_WIDTH), nn.ReLU(),
            nn.Linear(FLOW_WIDTH, LATENT),
        )
        # At first every step leaves its input as it is.
        nn.init.zeros_(self.network[-1].weight)
        nn.init.zeros_(self.network[-1].bias)

    def split(self, numbers):
        first, second = numbers[:, :LATENT // 2], numbers[:, LATENT // 2:]
        return (second, first) if self.is_swapped else (first, second)

    def join(self, kept, changed):
        return torch.cat((changed, kept) if self.is_swapped else (kept, changed), dim=1)

    def scale_and_move(self, kept):
        scale, move = self.network(kept).chunk(2, dim=1)
        return MAX_LOG_SCALE * torch.tanh(scale / MAX_LOG_SCALE), move

    def forward(self, noise):
        kept, other = self.split(noise)
        scale, move = self.scale_and_move(kept)
        return self.join(kept, other * scale.exp() + move)

    def inverse(self, latent):
        """(what `forward` would make the latent of, the logarithm of how much that shrinks the volume around it)"""
        kept, other = self.split(latent)
        scale, move = self.scale_and_move(kept)
        return self.join(kept, (other - move) * (-scale).exp()), -scale.sum(dim=1)


class Flow(nn.Module):
    """Random numbers to a latent, and back."""

    def __init__(self):
        super().__init__()
        self.steps = nn.ModuleList(FlowStep(is_swapped=at % 2 == 1) for at in range(FLOW_STEPS))

    def forward(self, noise):
        for step in self.steps:
            noise = step(noise)
        return noise

    def inverse(self, latent):
        log_volume = torch.zeros(len(latent))
        for step in reversed(self.steps):
            latent, change = step.inverse(latent)
            log_volume = log_volume + change
        return latent, log_volume


class Generator(nn.Module):
    """What the folder carries: normally distributed numbers to a picture of brightness 0 to 1."""

    def __init__(self, flow, decoder):
        super().__init__()
        self.flow = flow
        self.decoder = decoder

    def forward(self, latent):
        return torch.sigmoid(self.decoder(self.flow(latent)))


class WayBack(nn.Module):
    """A picture, and normally distributed noise, to the numbers from which the generator would draw it."""

    def __init__(self, encoder, flow):
        super().__init__()
        self.encoder = encoder
        self.flow = flow

    def forward(self, image, noise):
        mean, log_variance = self.encoder(image)
        return self.flow.inverse(mean + noise * (log_variance / 2).exp())[0]


def divergence(mean, log_variance):
    """How far the latents of a batch stray from the normal distribution, in nats a picture."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1)


def shift(images, generator):
    """Moves a batch by up to a pixel in each direction."""
    padded = F.pad(images, (MAX_SHIFT_PIXELS,) * 4)
    top, left = generator.integers(0, 2 * MAX_SHIFT_PIXELS + 1, size=2)
    return padded[:, :, top:top + mnist.SIDE, left:left + mnist.SIDE]


def train_autoencoder(images):
    generator = np.random.default_rng(SEED)
    encoder, decoder = Encoder(), Decoder()
    optimiser = torch.optim.AdamW([*encoder.parameters(), *decoder.parameters()], weight_decay=1e-4)
    steps = EPOCHS * -(-len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, PEAK_LEARNING_RATE, total_steps=steps)
    for epoch in range(EPOCHS):
        for rows in torch.randperm(len(images)).split(BATCH):
            batch = shift(images[rows], generator)
            mean, log_variance = encoder(batch)
            latent = mean + torch.randn_like(mean) * (log_variance / 2).exp()
            surprise = F.binary_cross_entropy_with_logits(decoder(latent), batch, reduction="sum") / len(rows)
            loss = surprise + divergence(mean, log_variance).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
        print(f"autoencoder, epoch {epoch + 1}/{EPOCHS}: last training loss {loss.item():.1f}", flush=True)
    return encoder.eval(), decoder.eval()


def train_flow(encoder, images):
    """Fits the flow to the latents of the images by maximum likelihood; the encoder stays as it is."""
    with torch.no_grad():
        means, log_variances = encoder(images)
    flow = Flow()
    optimiser = torch.optim.AdamW(flow.parameters(), weight_decay=1e-3)
    steps = FLOW_EPOCHS * -(-len(images) // FLOW_BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, FLOW_PEAK_LEARNING_RATE, total_steps=steps)
    for epoch in range(FLOW_EPOCHS):
        for rows in torch.randperm(len(images)).split(FLOW_BATCH):
            noise = torch.randn_like(means[rows])
            numbers, log_volume = flow.inverse(means[rows] + noise * (log_variances[rows] / 2).exp())
            loss = (0.5 * numbers.square().sum(dim=1) - log_volume).mean()
            optimiser.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(flow.parameters(), 1.0)
            optimiser.step()
            schedule.step()
        print(f"flow, epoch {epoch + 1}/{FLOW_EPOCHS}: last training loss {loss.item():.2f}", flush=True)
    return flow.eval()


def binary_cross_entropy(images, drawn):
    """Nats a picture by which the drawn brightness misses the true one, for each row."""
    drawn = np.clip(drawn.astype(np.float64), 1e-7, 1 - 1e-7)
    nats = -(images * np.log(drawn) + (1 - images) * np.log(1 - drawn))
    return nats.reshape(len(images), -1).sum(axis=1)


def reconstruct(way_back, session, images):
    """The pictures drawn from what the whole autoencoder makes of these, both ways through ONNX Runtime."""
    noise = np.random.default_rng(SEED).standard_normal((len(images), LATENT)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "way_back.onnx"
        common.export_onnx(
            way_back, (torch.zeros(2, 1, mnist.SIDE, mnist.SIDE), torch.zeros(2, LATENT)), path,
            ["image", "noise"], {"image": {0: "batch"}, "noise": {0: "batch"}, "latent": {0: "batch"}}, output="latent",
        )
        (latent,) = common.open_session(path).run(["latent"], {"image": images, "noise": noise})
    (drawn,) = session.run(["image"], {"z": latent})
    return drawn


def confident_share(reader, images):
    """(share of pictures to which the digit classifier gives a label with at least 0.9, the labels of all)."""
    (logits,) = reader.run(["logits"], {"pixel_values": images})
    scores = np.exp(logits - logits.max(axis=1, keepdims=True))
    scores /= scores.sum(axis=1, keepdims=True)
    return float((scores.max(axis=1) >= CONFIDENT).mean()), scores.argmax(axis=1)


def write_sheet(folder, images):
    """The first drawings side by side."""
    (folder / "examples").mkdir(exist_ok=True)
    rows = images[:SHEET_ROWS * SHEET_COLUMNS, 0].reshape(SHEET_ROWS, SHEET_COLUMNS, mnist.SIDE, mnist.SIDE)
    sheet = (rows.transpose(0, 2, 1, 3).reshape(SHEET_ROWS * mnist.SIDE, -1) * 255).round().astype(np.uint8)
    Image.fromarray(sheet).save(folder / "examples" / "drawings.png", optimize=True)


def write_configuration(folder):
    common.write_json(folder / "config.json", {
        "architectures": ["DigitDecoder"],
        "model_type": "digit-vae-decoder",
        "latent_size": LATENT,
        "image_size": mnist.SIDE,
        "num_channels": 1,
    })


def write_weir(folder, held_out_loss, drawn_share):
    common.write_json(folder / "weir.json", {
        "task": "image-generation",
        "displayName": "Digit generator",
        "description": "Draws a handwritten digit from 16 numbers. The decoder of a variational autoencoder trained on MNIST images.",
        "licence": "CC-BY-SA-3.0",
        "tags": ["digits", "mnist", "generation", "starter"],
        "generation": {"latentSize": LATENT, "range": [0, 1]},
        "metrics": [
            {
                "name": "reconstruction loss, nats a picture",
                "value": round(held_out_loss, 2),
                "dataset": "MNIST t10k",
                "split": "held-out 1,000 images",
                "n": mnist.HELD_OUT,
            },
            {
                "name": "share that digits reads with 0.9 or more",
                "value": drawn_share,
                "dataset": "drawn from random latents",
                "n": DRAWN,
            },
        ],
        "examples": [{"input": {"seed": seed}} for seed in (1, 2, 3)],
    })


def card(losses, shares, rarest, parameters):
    """`losses` and `shares` are (the model's, the yardstick's); `rarest` is the (digit, how often it was drawn) drawn least."""
    digit, times = rarest
    return f"""
---
license: cc-by-sa-3.0
pipeline_tag: unconditional-image-generation
library_name: onnx
tags: [digits, mnist, vae, onnx]
---

# Digit generator

Draws a 28×28 grey picture of a handwritten digit from {LATENT} random numbers: the decoder of a variational autoencoder,
behind a flow that turns random numbers into latents of digits.

| | |
|---|---|
| network | {FLOW_STEPS} affine couplings of width {FLOW_WIDTH}; Dense {LATENT}, 128, 3,136; transposed Conv 64, 32, 1 (4×4, stride 2); sigmoid; {parameters:,} parameters; ONNX opset {common.ONNX_OPSET} |
| input | `z`, float32 `[batch, {LATENT}]`, drawn from the normal distribution |
| output | `image`, float32 `[batch, 1, 28, 28]`, brightness 0 to 1, bright ink on a dark ground |
| training data | 9,000 of the 10,000 MNIST t10k images |
| **held-out loss** | **{losses[0]:.1f}** nats a picture (binary cross-entropy) for the reconstruction of the other {mnist.HELD_OUT:,} images by the whole autoencoder |
| yardstick | always drawing the mean training image: {losses[1]:.1f} nats |
| **readable drawings** | **{shares[0]:.3f}** of {DRAWN:,} random latents give a picture that `../digits` labels with {CONFIDENT} or more |
| yardstick | the same share of real held-out images: {shares[1]:.3f} |
| licence | CC BY-SA 3.0 for the weights and the pictures, as for the data |

Both are measured in ONNX Runtime on `onnx/model.onnx`; the encoder is exported for the measurement alone.

![Drawings from random latents](examples/drawings.png)

## How it was made

`python models/digit-generator/train.py --data DIR` (see `../README.md`): seed {SEED}, on a CPU. The autoencoder: {EPOCHS} epochs, random
shifts of up to {MAX_SHIFT_PIXELS} pixel, loss: binary cross-entropy and Kullback-Leibler divergence with equal weight. The flow:
{FLOW_EPOCHS} epochs of maximum likelihood on the latents of the training images; without it about 0.45 of the drawings
were readable while settings were chosen. The drawings above are those of the first {SHEET_ROWS * SHEET_COLUMNS} of the {DRAWN:,} latents, not
chosen. Nothing was chosen by the held-out images.

## Limits

- Nobody can ask it for a certain digit: the latent has no label. The digit drawn least was {digit}, {times} times in {DRAWN:,}.
- Strokes are softer than in real images, and some drawings lie between two digits.
- `digits` was trained on the same images, and a confident reader may be wrong: the share says that a drawing looks like
  a digit to it, no more.

## Files

`examples/drawings.png` holds {SHEET_ROWS * SHEET_COLUMNS} drawings. `example.json` holds a raw request and response (Open Inference Protocol v2)
with a tolerance. Data: MNIST, Y. LeCun, C. Cortes, C. J. C. Burges, CC BY-SA 3.0; see `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    common.make_deterministic(SEED)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    (training_pixels, _), (pixels, _) = mnist.load(arguments.data)
    training_images, images = mnist.as_brightness(training_pixels), mnist.as_brightness(pixels)

    encoder, decoder = train_autoencoder(torch.from_numpy(training_images))
    flow = train_flow(encoder, torch.from_numpy(training_images))
    generator = Generator(flow, decoder)
    model_path = out / "onnx" / "model.onnx"
    common.export_onnx(
        generator, (torch.zeros(2, LATENT),), model_path,
        ["z"], {"z": {0: "batch"}, "image": {0: "batch"}}, output="image",
    )

    session, reader = common.open_session(model_path), common.open_session(DIGITS_MODEL)
    drawn_again = reconstruct(WayBack(encoder, flow), session, images)
    mean_image = np.broadcast_to(training_images.mean(axis=0), images.shape)
    losses = tuple(float(binary_cross_entropy(images, several).mean()) for several in (drawn_again, mean_image))
    latents = np.random.default_rng(SEED).standard_normal((DRAWN, LATENT)).astype(np.float32)
    (drawn,) = session.run(["image"], {"z": latents})
    drawn_share, read = confident_share(reader, drawn)
    real_share, _ = confident_share(reader, images)
    print(f"held-out loss and yardstick {losses}, drawings read {drawn_share}, real images read {real_share}")
    counts = np.bincount(read, minlength=10)

    write_sheet(out, drawn)
    write_configuration(out)
    write_weir(out, losses[0], drawn_share)
    example = common.open_inference_example(session, {"z": latents[:1].round(4)})
    common.write_json(out / "example.json", example, compact=True)
    parameters = sum(parameter.numel() for parameter in generator.parameters())
    rarest = (int(counts.argmin()), int(counts.min()))
    common.write_card(out / "README.md", card(losses, (drawn_share, real_share), rarest, parameters))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()

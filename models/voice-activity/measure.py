"""Takes `voice-activity`, Silero's detector of speech, measures it, and writes its folder but this script and LICENSE.

    python models/voice-activity/measure.py --data DIR

Nothing is trained here. The recordings are five sentences that a person read, with the times of their words beside them.
"""

import io
import json
import sys
import tarfile
import wave
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
sys.path.insert(0, str(FOLDER.parent / "training"))

import common  # first: it fixes the number of threads

import numpy as np
from sklearn.metrics import roc_auc_score

NETWORK = ("silero_vad_16k_op15.onnx", "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49")
RECORDINGS = ("pocketsphinx-5.1.1.tar.gz", "675778b309a22dfc9b7d37f7621976bba491d2a5f8c59696bd77fd6d07271355")
RECORDINGS_FOLDER = "pocketsphinx-5.1.1/test/data/librivox/sense_and_sensibility_01_austen_64kb-"
SENTENCES = ["0870", "0880", "0890", "0920", "0930"]
# Short, since the catalogue shows examples up to 64 KiB.
EXAMPLE_SENTENCE, EXAMPLE_FIRST_SECOND, EXAMPLE_TEXT = "0880", 0.95, "… an ill-disposed young man."
RATE_HZ = 16_000
FRAME, CONTEXT = 512, 64
STATE_SHAPE = (2, 1, 128)
THRESHOLD = 0.5
# Around and between the sentences, when they are measured.
PAUSE_SECONDS = 1.5
# The recordings are quiet between words, but not silent: neither are the pauses.
FLOOR = 1e-3
SIGNAL_TO_NOISE_DECIBEL = 5
NOISE_SECONDS = 2
SEED = 0


class Archive:
    """The recordings and their alignments."""

    def __init__(self, data_folder):
        self.tar = tarfile.open(fileobj=io.BytesIO(common.checked_bytes(data_folder, *RECORDINGS)))

    def content(self, ending):
        return self.tar.extractfile(RECORDINGS_FOLDER + ending).read()

    def samples(self, sentence):
        """-1 to 1, at 16 kHz."""
        with wave.open(io.BytesIO(self.content(f"{sentence}.wav"))) as recording:
            assert (recording.getframerate(), recording.getnchannels(), recording.getsampwidth()) == (RATE_HZ, 1, 2)
            return np.frombuffer(recording.readframes(recording.getnframes()), "<i2").astype(np.float32) / 32768

    def words(self, sentence):
        """(first, last) second of each word."""
        words = json.loads(self.content(f"{sentence}.json"))["w"]
        return [(word["b"], word["b"] + word["d"]) for word in words if not word["t"].startswith("<")]


def pink_noise(count, generator):
    """Noise whose power falls with the frequency, as that of rooms and streets does; its loudest sample is 1."""
    spectrum = np.fft.rfft(generator.standard_normal(count))
    spectrum /= np.sqrt(np.maximum(np.arange(len(spectrum)), 1))
    noise = np.fft.irfft(spectrum, count)
    return (noise / np.abs(noise).max()).astype(np.float32)


def programme(archive, generator):
    """(samples, is a word spoken at each sample): the sentences, with pauses around them."""
    pause = int(PAUSE_SECONDS * RATE_HZ)
    samples, spoken = [], []
    for sentence in [None, *SENTENCES]:
        if sentence is not None:
            samples.append(archive.samples(sentence))
            said = np.zeros(len(samples[-1]), dtype=bool)
            for first, last in archive.words(sentence):
                said[int(first * RATE_HZ):int(last * RATE_HZ)] = True
            spoken.append(said)
        samples.append((FLOOR * generator.standard_normal(pause)).astype(np.float32))
        spoken.append(np.zeros(pause, dtype=bool))
    return np.concatenate(samples), np.concatenate(spoken)


def with_noise(samples, spoken, generator):
    """The samples with pink noise, so that the words are 5 dB louder than the noise."""
    noise = pink_noise(len(samples), generator)
    wanted = np.mean(samples[spoken] ** 2) / 10 ** (SIGNAL_TO_NOISE_DECIBEL / 10)
    return samples + noise * np.sqrt(wanted / np.mean(noise ** 2)).astype(np.float32)


def in_frames(values):
    """[frames, 512]; what is left over at the end is left out."""
    return values[:len(values) // FRAME * FRAME].reshape(-1, FRAME)


def frame_inputs(samples):
    """[frames, 576]: each frame with the last 64 samples of the one before in front of it."""
    frames = in_frames(samples)
    context = np.vstack([np.zeros((1, CONTEXT), np.float32), frames[:-1, -CONTEXT:]])
    return np.hstack([context, frames])


def speech_probabilities(session, samples):
    """For each frame, with the state of the frame before."""
    state = np.zeros(STATE_SHAPE, np.float32)
    found = []
    for frame in frame_inputs(samples):
        output, state = session.run(["output", "stateN"], {"input": frame[None], "state": state, "sr": np.array(RATE_HZ)})
        found.append(float(output[0, 0]))
    return np.array(found)


def loudness(samples):
    """What a detector without a model would go by: decibels of each frame."""
    return 10 * np.log10(np.mean(in_frames(samples) ** 2, axis=1) + 1e-12)


def judged(session, samples, spoken):
    """How well words are told from the rest, in each frame: area under the ROC curve, by the model and by loudness; accuracy."""
    truth = in_frames(spoken).mean(axis=1) >= 0.5
    probabilities = speech_probabilities(session, samples)
    return {
        "auc": float(roc_auc_score(truth, probabilities)),
        "loudness_auc": float(roc_auc_score(truth, loudness(samples))),
        "accuracy": float(((probabilities >= THRESHOLD) == truth).mean()),
        "frames": len(truth),
    }


def write_wave(path, samples):
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE_HZ)
        file.writeframes((np.clip(samples, -1, 1) * 32767).round().astype("<i2").tobytes())


def write_weir(folder, clean, noisy):
    def figures(condition, result):
        return [
            {"name": f"area under the ROC curve, {condition}", "value": round(result["auc"], 4), "n": result["frames"]},
            {"name": f"accuracy of frames, {condition}", "value": round(result["accuracy"], 4), "n": result["frames"]},
        ]

    common.write_json(folder / "config.json", {"model_type": "silero-vad", "hidden_size": STATE_SHAPE[2]})
    common.write_json(folder / "weir.json", {
        "task": "voice-activity-detection",
        "displayName": "Voice activity",
        "description": "Tells when somebody speaks in a recording. Silero VAD, a small recurrent net, for sound at 16 kHz.",
        "licence": "MIT",
        "tags": ["speech", "audio", "silero", "starter"],
        "audio": {
            "sampleRateHz": RATE_HZ, "frameSamples": FRAME, "contextSamples": CONTEXT, "threshold": THRESHOLD,
            "sampleRateInput": "sr",
        },
        "state": [{"input": "state", "output": "stateN", "datatype": "FP32", "shape": [2, -1, 128]}],
        "metrics": [
            {**figure, "dataset": "five LibriVox sentences, word by word"}
            for figure in figures("quiet", clean) + figures(f"noise at {SIGNAL_TO_NOISE_DECIBEL} dB", noisy)
        ],
        "examples": [{"input": {"audioFile": "examples/speech.wav"}}, {"input": {"audioFile": "examples/noise.wav"}}],
    })


def card(clean, noisy, noise_maximum):
    return f"""
---
license: mit
pipeline_tag: voice-activity-detection
library_name: onnx
tags: [speech, audio, silero, onnx]
---

# Voice activity

Tells when somebody speaks in a recording, 31 times a second. This is Silero VAD 6.2.3 by the Silero Team, as it comes.

| | |
|---|---|
| network | short-time Fourier transform, four convolutions, one LSTM of width 128; ONNX opset 15; `{NETWORK[0]}` of the PyPI package `silero-vad` |
| input | `input`, float32 `[batch, {CONTEXT + FRAME}]`: the last {CONTEXT} samples of the frame before, then {FRAME} samples at 16 kHz, -1 to 1; `state`, float32 `[2, batch, 128]`, at first 0; `sr`, int64, 16000 |
| output | `output`, float32 `[batch, 1]`, probability of speech; `stateN`, the state for the next frame |
| **measured, quiet** | area under the ROC curve **{clean["auc"]:.3f}** (loudness alone: {clean["loudness_auc"]:.3f}); {clean["accuracy"]:.3f} of the frames right at the threshold {THRESHOLD} |
| **measured, noise at {SIGNAL_TO_NOISE_DECIBEL} dB** | area under the ROC curve **{noisy["auc"]:.3f}** (loudness alone: {noisy["loudness_auc"]:.3f}); {noisy["accuracy"]:.3f} of the frames right |
| noise alone | never above {noise_maximum:.3f} in `examples/noise.wav` |
| licence | MIT, Copyright (c) 2020-present Silero Team; [LICENSE](LICENSE) |

## How it was measured

`python models/voice-activity/measure.py --data DIR` (see `../README.md`): five sentences that a person read for LibriVox, with
{PAUSE_SECONDS} s of faint hiss before, between and after them, {clean["frames"]:,} frames of {FRAME} samples in one sequence, in ONNX Runtime. A
frame is speech when words fill at least half of it; the times of the words come from the same package as the sentences.
Then the same with pink noise, {SIGNAL_TO_NOISE_DECIBEL} dB below the words. Most of the frames that it gets wrong lie at the edge of
a word, where 32 ms are hardly one or the other.

## Limits

- Mono at 16 kHz; anything else has to be converted first. One reader, twenty seconds of speech: the figures show
  that the model works here, not how it ranks. Its authors publish larger measurements.
- It hears that somebody speaks, not who or what. Singing, a radio in the background or babble may count as speech.

## Files

`examples/speech.wav`: "{EXAMPLE_TEXT}", from _Sense and Sensibility_ read for LibriVox, public domain.
`examples/noise.wav`: {NOISE_SECONDS} s of pink noise, computed. `example.json` holds a raw request and response (Open Inference Protocol v2)
for one frame of that sentence, with a tolerance. See `../NOTICE.md`.
"""


def main():
    arguments = common.parse_arguments(__doc__.split("\n")[0], FOLDER)
    out = arguments.out
    generator = np.random.default_rng(SEED)
    model_path = out / "onnx" / "model.onnx"
    model_path.parent.mkdir(parents=True, exist_ok=True)
    model_path.write_bytes(common.checked_bytes(arguments.data, *NETWORK))
    session, archive = common.open_session(model_path), Archive(arguments.data)

    samples, spoken = programme(archive, generator)
    clean = judged(session, samples, spoken)
    noisy = judged(session, with_noise(samples, spoken, generator), spoken)
    noise = 0.1 * pink_noise(NOISE_SECONDS * RATE_HZ, generator)
    noise_maximum = float(speech_probabilities(session, noise).max())
    print(f"quiet {clean}, noisy {noisy}, noise alone at most {noise_maximum}")

    example_samples = archive.samples(EXAMPLE_SENTENCE)[int(EXAMPLE_FIRST_SECOND * RATE_HZ):]
    write_wave(out / "examples" / "speech.wav", example_samples)
    write_wave(out / "examples" / "noise.wav", noise)
    write_weir(out, clean, noisy)
    spoken_frame = frame_inputs(example_samples)[[len(example_samples) // FRAME // 2]]
    feeds = {"input": spoken_frame, "state": np.zeros(STATE_SHAPE, np.float32), "sr": np.array(RATE_HZ)}
    common.write_json(out / "example.json", common.open_inference_example(session, feeds), compact=True)
    common.write_card(out / "README.md", card(clean, noisy, noise_maximum))
    common.check_folder_size(out)


if __name__ == "__main__":
    main()

"""What the training scripts share: checked data, fixed seeds, ONNX export, measured output files."""

import argparse
import hashlib
import json
import os
import random
from pathlib import Path

# One thread: a sum that is split over threads may round differently from run to run.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import numpy as np
import onnx
import onnxruntime
import torch

ONNX_OPSET = 17
# A starter model is committed to git and copied into images, so its folder stays small.
FOLDER_LIMIT_BYTES = 3_500_000
OPEN_INFERENCE_TYPES = {"float32": "FP32", "int64": "INT64"}


def parse_arguments(description, model_folder):
    """Reads `--data` (where the data sets lie) and `--out` (where to write; default: beside the script)."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--data", type=Path, required=True, help="folder with the data files")
    parser.add_argument("--out", type=Path, default=model_folder, help="folder to write the model to")
    return parser.parse_args()


def make_deterministic(seed):
    """Fixes every source of chance, so that the same machine writes the same bytes again."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    # Weights that decay into subnormal numbers would slow the later epochs down many times.
    torch.set_flush_denormal(True)


def checked_bytes(folder, name, sha256):
    """The content of a data file, or an error where it is not the file that the figures were measured on."""
    content = (folder / name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"{name}: sha256 is {found}, expected {sha256}")
    return content


def export_onnx(network, example_inputs, path, input_names, dynamic_axes, output="logits"):
    """Writes the network with its single output and checks the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    network.eval()
    torch.onnx.export(
        network, example_inputs, str(path),
        input_names=input_names, output_names=[output], dynamic_axes=dynamic_axes,
        opset_version=ONNX_OPSET, do_constant_folding=True, dynamo=False,
    )
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)


def open_session(path):
    """The exported file in ONNX Runtime: all published figures come from here, not from PyTorch."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def open_inference_tensor(name, array, decimals=6):
    """One tensor in Open Inference Protocol v2 JSON."""
    values = array.ravel().tolist()
    if array.dtype.kind == "f":
        values = [round(value, decimals) for value in values]
    return {
        "name": name,
        "shape": list(array.shape),
        "datatype": OPEN_INFERENCE_TYPES[str(array.dtype)],
        "data": values,
    }


def open_inference_example(session, feeds, **extra):
    """A raw request, the response that ONNX Runtime gave to it, and how far another runtime may differ."""
    names = [output.name for output in session.get_outputs()]
    return {
        "model": "onnx/model.onnx",
        "inputs": [open_inference_tensor(name, array) for name, array in feeds.items()],
        "outputs": [
            open_inference_tensor(name, array, decimals=5) for name, array in zip(names, session.run(names, feeds))
        ],
        "tolerance": 1e-3,
        **extra,
    }


def write_json(path, value, compact=False):
    """Compact for lists of numbers, indented for what people read."""
    text = json.dumps(value, ensure_ascii=False, indent=None if compact else 2)
    path.write_text(text + "\n", encoding="utf-8")


def write_card(path, text):
    path.write_text(text.strip() + "\n", encoding="utf-8")


def check_folder_size(folder):
    """Fails when the folder has outgrown what the repository accepts."""
    files = [file for file in folder.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    total = sum(file.stat().st_size for file in files)
    print(f"{folder.name}: {total} bytes in {len(files)} files")
    if total > FOLDER_LIMIT_BYTES:
        raise SystemExit(f"{folder} is over {FOLDER_LIMIT_BYTES} bytes")

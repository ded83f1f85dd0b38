"""The session that every peer runs: ONNX Runtime with one thread, as the worker has it."""

import os

import onnxruntime as ort


def session():
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    return ort.InferenceSession(os.environ["BENCH_NETWORK"], options, providers=["CPUExecutionProvider"])

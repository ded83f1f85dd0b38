"""LitServe with a list of numbers in JSON, and batches of up to 16."""

import os

import litserve
import numpy as np
from network import session


class Network(litserve.LitAPI):
    def setup(self, device):
        self.session = session()

    def decode_request(self, request):
        return np.array(request["x"], dtype=np.float32)

    def predict(self, x):
        return self.session.run(None, {"x": x})[0]

    def encode_response(self, output):
        return {"y": output.tolist()}


if __name__ == "__main__":
    api = Network(max_batch_size=16, batch_timeout=0.001)
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=int(os.environ["BENCH_PORT"]), num_api_servers=1, generate_client_file=False, log_level="error")

"""mosec as its documentation builds such a server: its front in Rust, a Python process for each route, batches of up to 16."""

import msgspec
import numpy as np
from mosec import Server, Worker
from network import session


class Network(Worker):
    def __init__(self):
        super().__init__()
        self.session = session()

    def forward(self, data):
        return list(self.session.run(None, {"x": np.stack(data)})[0])


class Json(Network):
    """A list of numbers; by msgspec, which costs less than mosec's own json.loads."""

    def __init__(self):
        super().__init__()
        self.decoder = msgspec.json.Decoder(list[float])

    def deserialize(self, data):
        return np.array(self.decoder.decode(data), dtype=np.float32)

    def serialize(self, data):
        return msgspec.json.encode(data.tolist())


class Binary(Network):
    """Bare float32 numbers."""

    resp_mime_type = "application/octet-stream"

    def deserialize(self, data):
        return np.frombuffer(data, dtype=np.float32)

    def serialize(self, data):
        return data.tobytes()


if __name__ == "__main__":
    server = Server()
    server.append_worker(Json, max_batch_size=16, route="/json")
    server.append_worker(Binary, max_batch_size=16, route="/binary")
    server.run()

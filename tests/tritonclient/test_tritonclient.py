"""Triton's own Python client, unmodified, against a running platform.

Run by scripts/test-tritonclient.mjs, which says in the environment where the platform is and with what it may be called.
"""

import asyncio
import os
import queue
import re
import subprocess
import unittest

import numpy
import tritonclient.grpc as grpc
import tritonclient.grpc.aio
import tritonclient.http as http
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

HTTP_ADDRESS = os.environ["WEIR_HTTP_ADDRESS"]
GRPC_ADDRESS = os.environ["WEIR_GRPC_ADDRESS"]

PICTURES = numpy.random.default_rng(7).random((3, 1, 28, 28), dtype=numpy.float32)
SENTENCES = numpy.array(["a wonderful film", "dull and far too long ☹"], dtype=object)
EXTENSIONS = {"binary_tensor_data", "model_repository", "sequence", "statistics"}


def tenant():
    """A tenant's headers; made for each call, because the client adds its own to what it is given."""
    return {"authorization": f"Bearer {os.environ['WEIR_API_KEY']}"}


def operator():
    return {"authorization": f"Bearer {os.environ['WEIR_OPERATOR_TOKEN']}"}


def tensor(protocol, name, values, datatype, **how):
    """An input of either protocol."""
    one = protocol.InferInput(name, list(values.shape), datatype)
    one.set_data_from_numpy(values, **how)
    return one


def texts(values):
    return [value.decode() if isinstance(value, bytes) else value for value in values.flatten().tolist()]


class OverHttp(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = http.InferenceServerClient(HTTP_ADDRESS, concurrency=8)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def digits(self, binary=True, binary_output=True, pictures=PICTURES, **options):
        name = "logits"
        return self.client.infer(
            "digits",
            [tensor(http, "pixel_values", pictures, "FP32", binary_data=binary)],
            outputs=[http.InferRequestedOutput(name, binary_data=binary_output)],
            headers=tenant(),
            **options,
        ).as_numpy(name)

    def test_the_server_lives_and_says_what_it_offers_without_a_key(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        metadata = self.client.get_server_metadata()
        self.assertEqual(metadata["name"], "weir")
        self.assertLessEqual(EXTENSIONS, set(metadata["extensions"]))

    def test_a_model_is_ready_and_described(self):
        self.assertTrue(self.client.is_model_ready("digits", headers=tenant()))
        self.assertFalse(self.client.is_model_ready("nothing", headers=tenant()))
        metadata = self.client.get_model_metadata("digits", headers=tenant())
        self.assertEqual(metadata["name"], "digits")
        self.assertEqual(metadata["inputs"][0]["datatype"], "FP32")
        version = metadata["versions"][0]
        self.assertTrue(self.client.is_model_ready("digits", version, headers=tenant()))
        self.assertEqual(self.client.get_model_metadata("digits", version, headers=tenant()), metadata)

    def test_bytes_and_json_mean_the_same_in_every_mixture(self):
        expected = self.digits()
        self.assertEqual(expected.shape, (3, 10))
        for binary in (True, False):
            for binary_output in (True, False):
                numpy.testing.assert_allclose(self.digits(binary, binary_output), expected, rtol=1e-6)

    def test_what_is_not_a_number_travels_in_bytes(self):
        nothing = numpy.full((1, 1, 28, 28), numpy.nan, dtype=numpy.float32)
        self.assertTrue(numpy.isnan(self.digits(pictures=nothing)).any())

    def test_all_outputs_come_when_none_is_named(self):
        answer = self.client.infer("digits", [tensor(http, "pixel_values", PICTURES, "FP32")], headers=tenant())
        numpy.testing.assert_array_equal(answer.as_numpy("logits"), self.digits())

    def test_bodies_may_be_packed_both_ways(self):
        # Small answers are not packed.
        pictures = numpy.repeat(PICTURES, 50, axis=0)
        expected = self.digits(pictures=pictures)
        for packing in ("gzip", "deflate"):
            with self.subTest(packing):
                packed = self.digits(
                    pictures=pictures, request_compression_algorithm=packing, response_compression_algorithm=packing
                )
                numpy.testing.assert_array_equal(packed, expected)

    def test_the_id_comes_back_and_so_do_texts(self):
        for binary in (True, False):
            with self.subTest(binary=binary):
                answer = self.client.infer(
                    "sentiment",
                    [tensor(http, "text", SENTENCES, "BYTES", binary_data=binary)],
                    outputs=[http.InferRequestedOutput("label", binary_data=binary), http.InferRequestedOutput("score")],
                    request_id="call-7",
                    headers=tenant(),
                )
                self.assertEqual(answer.get_response()["id"], "call-7")
                labels = answer.as_numpy("label")
                self.assertEqual(labels.shape[0], len(SENTENCES))
                self.assertEqual([texts(row)[0] for row in labels], ["POSITIVE", "NEGATIVE"])

    def test_calls_may_be_under_way_at_once(self):
        expected = self.digits()
        inputs = [tensor(http, "pixel_values", PICTURES, "FP32")]
        calls = [self.client.async_infer("digits", inputs, headers=tenant()) for _ in range(16)]
        for call in calls:
            numpy.testing.assert_array_equal(call.get_result().as_numpy("logits"), expected)

    def test_calls_may_be_made_with_asyncio(self):
        async def call():
            async with tritonclient.http.aio.InferenceServerClient(HTTP_ADDRESS) as client:
                return await client.infer("digits", [tensor(http, "pixel_values", PICTURES, "FP32")], headers=tenant())

        numpy.testing.assert_array_equal(asyncio.run(call()).as_numpy("logits"), self.digits())

    def refused(self, status, call):
        with self.assertRaises(InferenceServerException) as caught:
            call()
        self.assertEqual(caught.exception.status(), status)
        self.assertTrue(caught.exception.message())
        return caught.exception.message()

    def test_what_is_wrong_is_refused_with_its_status_and_a_sentence(self):
        wrong = [tensor(http, "pixel_values", PICTURES[:, :, :, :27], "FP32")]
        self.assertIn("28", self.refused("400", lambda: self.client.infer("digits", wrong, headers=tenant())))
        unknown = [tensor(http, "nothing", PICTURES, "FP32")]
        self.refused("400", lambda: self.client.infer("digits", unknown, headers=tenant()))
        good = [tensor(http, "pixel_values", PICTURES, "FP32")]
        self.refused("404", lambda: self.client.infer("nothing", good, headers=tenant()))
        self.refused("401", lambda: self.client.infer("digits", good))
        self.refused("404", lambda: self.client.get_model_metadata("nothing", headers=tenant()))
        shared = http.InferInput("pixel_values", [1, 1, 28, 28], "FP32")
        shared.set_shared_memory("region", 3136)
        self.assertIn("shared memory", self.refused("400", lambda: self.client.infer("digits", [shared], headers=tenant())))

    def test_the_index_lists_the_models_of_the_tenant(self):
        index = {model["name"]: model for model in self.client.get_model_repository_index(headers=tenant())}
        self.assertEqual(index["digits"]["state"], "READY")
        self.assertIn("sentiment", index)

    def test_operators_load_unload_and_count_and_nobody_else_does(self):
        self.client.unload_model("digits", headers=operator())
        # The next call loads it again.
        expected = self.digits()
        self.client.load_model("digits", headers=operator())
        numpy.testing.assert_array_equal(self.digits(), expected)
        for statistics in (
            self.client.get_inference_statistics("digits", headers=operator()),
            self.client.get_inference_statistics(headers=operator()),
        ):
            counted = {model["name"]: model for model in statistics["model_stats"]}
            self.assertGreater(counted["digits"]["inference_stats"]["success"]["count"], 0)
        self.refused("403", lambda: self.client.load_model("digits", headers=tenant()))
        self.refused("403", lambda: self.client.unload_model("digits", headers=tenant()))
        self.refused("403", lambda: self.client.get_inference_statistics("digits", headers=tenant()))
        self.refused("400", lambda: self.client.load_model("digits", config="{}", headers=operator()))


class OverGrpc(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.client = grpc.InferenceServerClient(GRPC_ADDRESS)

    @classmethod
    def tearDownClass(cls):
        cls.client.close()

    def digits(self, **options):
        return self.client.infer("digits", [tensor(grpc, "pixel_values", PICTURES, "FP32")], headers=tenant(), **options)

    def test_the_server_lives_and_says_what_it_offers_without_a_key(self):
        self.assertTrue(self.client.is_server_live())
        self.assertTrue(self.client.is_server_ready())
        metadata = self.client.get_server_metadata()
        self.assertEqual(metadata.name, "weir")
        self.assertLessEqual(EXTENSIONS, set(metadata.extensions))

    def test_a_model_is_ready_and_described_as_over_http(self):
        self.assertTrue(self.client.is_model_ready("digits", headers=tenant()))
        described = self.client.get_model_metadata("digits", headers=tenant(), as_json=True)
        over_http = http.InferenceServerClient(HTTP_ADDRESS).get_model_metadata("digits", headers=tenant())
        self.assertEqual(described["versions"], over_http["versions"])
        self.assertEqual(
            [(one["name"], one["datatype"], [int(size) for size in one["shape"]]) for one in described["inputs"]],
            [(one["name"], one["datatype"], one["shape"]) for one in over_http["inputs"]],
        )

    def test_an_inference_means_the_same_as_over_http(self):
        with http.InferenceServerClient(HTTP_ADDRESS) as client:
            over_http = client.infer("digits", [tensor(http, "pixel_values", PICTURES, "FP32")], headers=tenant())
        answer = self.digits(request_id="call-7", outputs=[grpc.InferRequestedOutput("logits")])
        numpy.testing.assert_array_equal(answer.as_numpy("logits"), over_http.as_numpy("logits"))
        self.assertEqual(answer.get_response().id, "call-7")
        self.assertEqual(answer.get_response().model_name, "digits")

    def test_texts_are_taken_and_given(self):
        answer = self.client.infer("sentiment", [tensor(grpc, "text", SENTENCES, "BYTES")], headers=tenant())
        self.assertEqual([texts(row)[0] for row in answer.as_numpy("label")], ["POSITIVE", "NEGATIVE"])

    def test_messages_may_be_packed_both_ways(self):
        expected = self.digits().as_numpy("logits")
        for packing in ("gzip", "deflate"):
            with self.subTest(packing):
                numpy.testing.assert_array_equal(self.digits(compression_algorithm=packing).as_numpy("logits"), expected)

    def test_calls_may_be_under_way_at_once(self):
        expected = self.digits().as_numpy("logits")
        answers = queue.Queue()
        inputs = [tensor(grpc, "pixel_values", PICTURES, "FP32")]
        for _ in range(16):
            self.client.async_infer("digits", inputs, lambda result, error: answers.put((result, error)), headers=tenant())
        for _ in range(16):
            result, error = answers.get(timeout=30)
            self.assertIsNone(error)
            numpy.testing.assert_array_equal(result.as_numpy("logits"), expected)

    def test_calls_may_be_made_with_asyncio(self):
        async def call():
            async with tritonclient.grpc.aio.InferenceServerClient(GRPC_ADDRESS) as client:
                return await client.infer("digits", [tensor(grpc, "pixel_values", PICTURES, "FP32")], headers=tenant())

        numpy.testing.assert_array_equal(asyncio.run(call()).as_numpy("logits"), self.digits().as_numpy("logits"))

    def refused(self, status, call):
        with self.assertRaises(InferenceServerException) as caught:
            call()
        self.assertEqual(caught.exception.status(), f"StatusCode.{status}")
        self.assertTrue(caught.exception.message())
        return caught.exception.message()

    def test_what_is_wrong_is_refused_with_its_status_and_a_sentence(self):
        wrong = [tensor(grpc, "pixel_values", PICTURES[:, :, :, :27], "FP32")]
        self.assertIn("28", self.refused("INVALID_ARGUMENT", lambda: self.client.infer("digits", wrong, headers=tenant())))
        good = [tensor(grpc, "pixel_values", PICTURES, "FP32")]
        self.refused("NOT_FOUND", lambda: self.client.infer("nothing", good, headers=tenant()))
        self.refused("NOT_FOUND", lambda: self.client.get_model_metadata("nothing", headers=tenant()))
        self.refused("UNAUTHENTICATED", lambda: self.client.infer("digits", good))
        self.refused("UNIMPLEMENTED", lambda: self.client.get_model_config("digits", headers=tenant()))
        self.refused("DEADLINE_EXCEEDED", lambda: self.digits(client_timeout=0.000001))

    def test_the_index_lists_the_models_of_the_tenant(self):
        index = {model.name: model for model in self.client.get_model_repository_index(headers=tenant()).models}
        self.assertEqual(index["digits"].state, "READY")
        self.assertIn("sentiment", index)

    def test_operators_load_unload_and_count_and_nobody_else_does(self):
        self.client.unload_model("digits", headers=operator())
        self.client.load_model("digits", headers=operator())
        self.digits()
        counted = self.client.get_inference_statistics("digits", headers=operator()).model_stats[0]
        self.assertEqual(counted.name, "digits")
        self.assertGreater(counted.inference_stats.success.count, 0)
        self.refused("PERMISSION_DENIED", lambda: self.client.load_model("digits", headers=tenant()))
        self.refused("PERMISSION_DENIED", lambda: self.client.unload_model("digits", headers=tenant()))
        self.refused("PERMISSION_DENIED", lambda: self.client.get_inference_statistics("digits", headers=tenant()))


class Documentation(unittest.TestCase):
    """The commands of docs/open-inference.md, as they are printed."""

    def blocks(self, language):
        with open(os.environ["WEIR_DOCUMENT"], encoding="utf-8") as document:
            found = re.findall(rf"```{language}\n(.*?)```", document.read(), re.DOTALL)
        self.assertTrue(found)
        return found

    def test_the_lines_for_this_client(self):
        for block in self.blocks("python"):
            with self.subTest(block):
                here = block.replace("127.0.0.1:4000", HTTP_ADDRESS).replace("127.0.0.1:4001", GRPC_ADDRESS)
                exec(compile(here, "docs/open-inference.md", "exec"), {})

    def test_the_lines_for_the_shell(self):
        for block in self.blocks("sh"):
            with self.subTest(block):
                done = subprocess.run(
                    ["sh", "-ec", block], cwd=os.environ["WEIR_FOLDER"], capture_output=True, text=True, timeout=30, check=True
                )
                self.assertIn('"', done.stdout)
                self.assertNotIn('"error"', done.stdout)


if __name__ == "__main__":
    result = unittest.main(verbosity=2, exit=False).result
    broken = {getattr(test, "test_case", test) for test, _ in result.failures + result.errors}
    print(f"{result.testsRun - len(broken)} passed, {len(broken)} failed")

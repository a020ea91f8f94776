import contextlib
import functools
import json
import logging
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import TypeAdapter

from kerasbert.config_serve import ServiceConfig
from kerasbert.errors import InputError
from kerasbert.serving import served as served_module
from kerasbert.serving.app import build_app, create_app
from kerasbert.serving.schemas import LabelsResponse, PredictResponse
from kerasbert.serving.served import load_served
from kerasbert.serving.service import Service
from tests.serving.conftest import NAMES

TEXTS = ["you are kind", "the awful man sings very very very badly", "", "dog \0 \U0001f600"]
TOKEN = {"Authorization": "Bearer s3cret"}


@contextlib.contextmanager
def served(directory, loads=False, **config):
    """A client of a service, which has a model that was loaded once, or else `loads` its own."""
    config = ServiceConfig(**{"watch": 0, "max_wait": 0} | config)
    if loads:
        app = create_app(directory, config)
    else:
        service = Service(directory, config)
        service.model = loaded(directory)
        app = build_app(service)
    with TestClient(app, raise_server_exceptions=False) as client:
        client.service = app.state.service
        yield client


@functools.cache
def loaded(directory):
    return load_served(directory)


@pytest.fixture(scope="module")
def client(saved_run):
    limits = {"max_texts": 6, "max_characters": 100, "max_body": 2000, "max_explained": 2}
    with served(saved_run(), loads=True, **limits) as client:
        yield client


@pytest.mark.parametrize("task", NAMES)
def test_answers_are_those_of_the_classifier(saved_run, task):
    classifier = loaded(saved_run(task)).classifier
    expected, decided = classifier.outputs(TEXTS, None), classifier.predict(TEXTS)
    with served(saved_run(task)) as client:
        answer = client.post("/predict", json={"texts": TEXTS}).json()
    TypeAdapter(PredictResponse).validate_python(answer)
    assert answer["task"] == task
    assert answer["model"]["name"] == f"toy-{task}"
    for row, decision, found in zip(expected, decided, answer["predictions"], strict=True):
        if task == "regression":
            assert found["score"] == pytest.approx(decision, abs=1e-5)
            assert (found["labels"], found["probabilities"]) == ([], None)
            continue
        assert list(found["probabilities"]) == list(NAMES[task])
        np.testing.assert_allclose(list(found["probabilities"].values()), row, atol=1e-5)
        assert found["labels"] == (decision if task == "multilabel" else [decision])
    thresholds = classifier.thresholds
    names = None if thresholds is None else dict(zip(NAMES[task], thresholds, strict=True))
    assert answer["thresholds"] == names


def test_pairs(saved_run):
    directory = saved_run(pair_column="second")
    pairs = ["a dog", "good", "cat", "you"]
    expected = loaded(directory).classifier.predict_proba(TEXTS, pairs)
    with served(directory) as client:
        answer = client.post("/predict", json={"texts": TEXTS, "text_pairs": pairs}).json()
        assert client.get("/labels").json()["takes_pairs"]
        for wrong, said in (
            ({"texts": TEXTS}, "`text_pairs` is missing"),
            ({"texts": TEXTS, "text_pairs": None}, "`text_pairs` must be a list of strings"),
            ({"texts": TEXTS, "text_pairs": ["a"]}, "as many `text_pairs` as `texts`"),
        ):
            refused = client.post("/predict", json=wrong)
            assert refused.status_code == 422
            assert said in refused.json()["detail"]
    rude = [found["probabilities"]["rude"] for found in answer["predictions"]]
    np.testing.assert_allclose(rude, expected[:, 1], atol=1e-5)


def test_dont_know(saved_run, tmp_path):
    directory = tmp_path / "unsure"
    shutil.copytree(saved_run("multiclass"), directory)
    labels = json.loads((directory / "labels.json").read_text())
    (directory / "labels.json").write_text(json.dumps(labels | {"unsure_below": 1.0}))
    with served(directory) as client:
        answer = client.post("/predict", json={"texts": ["dog"]}).json()
    assert answer["unsure_below"] == 1.0
    assert answer["predictions"][0]["labels"] == []


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_explanations(saved_run, task):
    with served(saved_run(task)) as client:
        body = {"texts": ["\U0001f600 you fool"], "explain": True}
        answer = client.post("/predict", json=body).json()
    (found,) = answer["predictions"]
    words = found["explanation"]["words"]
    assert [word["text"] for word in words] == ["\U0001f600", "you", "fool"]
    assert [(word["start"], word["end"]) for word in words] == [(0, 1), (2, 5), (6, 10)]
    (expected,) = loaded(saved_run(task)).classifier.explain(body["texts"])
    for word, same in zip(words, expected.words, strict=True):
        assert word["contribution"] == pytest.approx(same.contribution, abs=1e-5)
    assert any(word["contribution"] for word in words)
    assert found["explanation"]["label"] == expected.label


WRONG = {
    "no JSON": (b"{", 400, "not JSON"),
    "nothing": (b"", 400, "not JSON"),
    "half of a surrogate pair": (b'{"texts": ["\\ud800"]}', 400, "half of a surrogate pair"),
    "no UTF-8": (b'{"texts": ["\xff"]}', 400, "not JSON"),
    "too deep": (b"[" * 1000, 400, "recursion"),
    "a list": (b'["you"]', 422, "The body must be an object. Received: a list."),
    "null": (b"null", 422, "The body must be an object. Received: null."),
    "no texts": (b"{}", 422, "`texts` is missing"),
    "texts of null": (b'{"texts": null}', 422, "`texts` must be a list of strings"),
    "a text of null": (b'{"texts": ["a", null]}', 422, "`texts[1]` must be a string. Received: nu"),
    "a number": (b'{"texts": [1e999]}', 422, "`texts[0]` must be a string. Received: a number."),
    "one string": (b'{"texts": "you"}', 422, "a list of strings. Received: a string."),
    "empty list": (b'{"texts": []}', 422, "`texts` is empty"),
    "explain of 1": (b'{"texts": ["a"], "explain": 1}', 422, "`explain` must be true or false"),
    "another name": (b'{"texts": ["a"], "text": 1}', 422, "no field of the name 'text'"),
    "pairs": (b'{"texts": ["a"], "text_pairs": ["b"]}', 422, "takes single texts"),
    "many texts": (b'{"texts": ["a","a","a","a","a","a","a"]}', 422, "more than 6 texts"),
    "a long text": (b'{"texts": ["%s"]}' % (b"a" * 101), 422, "101 characters. The limit is 100"),
    "many to explain": (b'{"texts": ["a","a","a"], "explain": true}', 422, "at most 2 texts"),
    "a large body": (b'{"texts": ["%s"]}' % (b"a" * 2000), 413, "2,000 bytes"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_classified_is_refused_with_a_sentence(client, name):
    body, status, said = WRONG[name]
    answer = client.post("/predict", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == status
    assert said in answer.json()["detail"]
    assert "aaaaa" not in answer.text


MUCH = {
    "names": {str(number): 0 for number in range(100_000)},
    "numbers": {"texts": [0] * 300_000},
    "a text and numbers": {"texts": ["a", *[0] * 300_000]},
}


@pytest.mark.parametrize("name", MUCH)
def test_of_much_that_is_wrong_the_first_is_enough(saved_run, name):
    with served(saved_run(), max_texts=10**6, max_queue=10**6) as client:
        start = time.process_time()
        assert client.post("/predict", json=MUCH[name]).status_code == 422
        assert time.process_time() - start < 1


def test_a_body_without_a_length_is_limited_as_well(client):
    parts = (b"a" * 500 for _ in range(5))
    answer = client.post("/predict", content=parts, headers={"content-type": "application/json"})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({"content-type": "text/plain"}, "text/plain"),
        ({"content-type": ""}, "none"),
        ({"content-type": "application/json", "content-encoding": "gzip"}, "compressed"),
    ],
)
def test_other_types_are_refused(client, headers, said):
    answer = client.post("/predict", content=b'{"texts": ["a"]}', headers=headers)
    assert answer.status_code == 415
    assert said in answer.json()["detail"]


def test_paths_and_methods_that_are_not_there(client):
    assert client.get("/nothing").json() == {"detail": "There is nothing at /nothing. See /docs."}
    assert client.get("/predict").status_code == 405
    assert client.post("/reload").status_code == 404  # without a token


def test_labels(client):
    answer = client.get("/labels").json()
    TypeAdapter(LabelsResponse).validate_python(answer)
    assert answer["labels"] == ["civil", "rude"]
    assert answer["max_length"] == 32
    assert answer["limits"] == {
        "texts": 6,
        "characters": 100,
        "body_bytes": 2000,
        "explained_texts": 2,
        "seconds": 30,
    }


def test_metrics_count_what_happened(client):
    client.post("/predict", json={"texts": ["dog", "cat"]})
    client.get("/somewhere/else")
    text = client.get("/metrics").text
    assert 'kerasbert_requests_total{path="/predict",status="200"}' in text
    assert 'kerasbert_requests_total{path="other",status="404"}' in text
    assert 'kerasbert_request_seconds_count{path="/predict"}' in text
    assert 'kerasbert_model{name="toy-binary"' in text
    values = dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")
    assert float(values["kerasbert_batch_texts_sum"]) >= 2
    assert float(values["kerasbert_queue_texts"]) == 0
    assert float(values["kerasbert_memory_bytes"]) > 1e8


def test_openapi_has_limits_and_examples(client):
    described = client.get("/openapi.json").json()
    request = described["components"]["schemas"]["PredictRequest"]
    assert request["properties"]["texts"]["maxItems"] == 6
    assert request["properties"]["texts"]["items"]["maxLength"] == 100
    assert request["properties"]["text_pairs"]["type"] == "null"
    assert request["then"]["properties"]["texts"]["maxItems"] == 2  # of what is explained
    (example,) = described["components"]["schemas"]["PredictResponse"]["examples"]
    TypeAdapter(PredictResponse).validate_python(example)
    answers = described["paths"]["/predict"]["post"]["responses"]
    assert set(answers) == {"200", "400", "408", "413", "415", "422", "503", "504"}
    page = client.get("/docs")
    assert page.status_code == 200
    assert "https://" not in page.text  # it needs no network


def test_a_token_is_asked_for(saved_run):
    with served(saved_run(), token="s3cret") as client:
        ask = {"json": {"texts": ["dog"]}}
        for headers in ({}, {"Authorization": "Bearer S3cret"}, {"Authorization": "s3cret"}):
            answer = client.post("/predict", **ask, headers=headers)
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert "token" in answer.json()["detail"]
        assert client.post("/predict", **ask, headers=TOKEN).status_code == 200
        for path in ("/labels", "/metrics"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers=TOKEN).status_code == 200
        assert client.post("/reload").status_code == 401
        for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
            assert client.get(path).status_code == 200


@pytest.mark.parametrize("token", ["", "two words", "\u00e9", "a\nb"])
def test_a_token_is_what_a_header_can_carry(token):
    with pytest.raises(InputError, match="`token`") as raised:
        ServiceConfig(token=token)
    assert "two words" not in str(raised.value)


def test_the_token_is_not_shown():
    assert "s3cret" not in repr(ServiceConfig(token="s3cret"))


@pytest.fixture
def stuck(monkeypatch):
    """Let no batch be computed until the event is set; the semaphore counts those that began."""
    event, started = threading.Event(), threading.Semaphore(0)
    compute = served_module.ServedModel.outputs

    def outputs(self, tokens):
        started.release()
        event.wait(20)
        return compute(self, tokens)

    monkeypatch.setattr(served_module.ServedModel, "outputs", outputs)
    yield event, started
    event.set()


def test_a_full_queue_and_a_deadline(saved_run, stuck):
    event, started = stuck
    limits = {"timeout": 0.8, "max_queue": 4, "max_texts": 4}
    with served(saved_run(), **limits) as client, ThreadPoolExecutor(4) as threads:
        ask = functools.partial(client.post, "/predict", json={"texts": ["dog"]})
        slow = []
        for _ in range(2):  # for the two that compute
            slow.append(threads.submit(ask))
            assert started.acquire(timeout=10)
        slow += [threads.submit(ask) for _ in range(2)]
        metrics = functools.partial(client.get, "/metrics")
        until = time.monotonic() + 10
        while "kerasbert_queue_texts 2.0" not in metrics().text:
            assert time.monotonic() < until
        start = time.monotonic()
        refused = client.post("/predict", json={"texts": ["dog"] * 4})
        assert time.monotonic() - start < 0.4
        assert refused.status_code == 503
        assert int(refused.headers["retry-after"]) >= 1
        assert "wait already" in refused.json()["detail"]
        for future in slow:
            answer = future.result()
            assert answer.status_code == 504
            assert "0.8 s" in answer.json()["detail"]
        event.set()
        until = time.monotonic() + 10
        while ask().status_code != 200:
            assert time.monotonic() < until


def test_a_failure_is_a_sentence_and_no_end(saved_run, monkeypatch):
    with served(saved_run()) as client:
        with monkeypatch.context() as patches:
            patches.setattr(
                served_module.ServedModel,
                "outputs",
                lambda self, tokens: 1 / 0,
            )
            answer = client.post("/predict", json={"texts": ["dog"]})
            assert answer.status_code == 500
            assert "log" in answer.json()["detail"]
        assert client.post("/predict", json={"texts": ["dog"]}).status_code == 200
        assert 'path="/predict",status="500"' in client.get("/metrics").text


def test_before_and_after_there_is_a_model(saved_run):
    service = Service(saved_run(), ServiceConfig(watch=0))
    with TestClient(build_app(service)) as client:
        assert client.get("/healthz").status_code == 200
        for answer in (client.get("/readyz"), client.post("/predict", json={"texts": ["a"]})):
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) >= 1
        service.load()
        assert client.get("/readyz").json()["model"]["name"] == "toy-binary"
        service.is_closing = True
        assert client.get("/readyz").status_code == 503


def test_reload_takes_another_model_and_not_a_bad_one(saved_run, tmp_path):
    current, bad = tmp_path / "current", tmp_path / "bad"
    current.symlink_to(saved_run())
    with served(current, loads=True, token="s3cret") as client:
        was = client.get("/readyz").json()["model"]

        def point_to(directory):
            current.unlink()
            current.symlink_to(directory)
            return client.post("/reload", headers=TOKEN)

        answer = point_to(saved_run("multilabel"))
        assert answer.status_code == 200
        assert answer.json()["was"] == was
        assert answer.json()["model"]["name"] == "toy-multilabel"
        shutil.copytree(saved_run(), bad)
        weights = bytearray((bad / "model.weights.h5").read_bytes())
        weights[-1] ^= 1
        (bad / "model.weights.h5").write_bytes(weights)
        refused = point_to(bad)
        assert refused.status_code == 409
        assert "sha256" in refused.json()["detail"]
        assert point_to(tmp_path / "nothing").status_code == 409
        answer = client.post("/predict", json={"texts": ["dog"]}, headers=TOKEN).json()
        assert answer["model"]["name"] == "toy-multilabel"
        text = client.get("/metrics", headers=TOKEN).text
        assert 'kerasbert_reloads_total{result="failed"} 2.0' in text
        assert 'kerasbert_model{name="toy-multilabel"' in text


def test_a_changed_link_or_decision_is_seen(saved_run, tmp_path):
    current, own = tmp_path / "current", tmp_path / "own"
    current.symlink_to(saved_run("multilabel"))
    shutil.copytree(saved_run(), own)
    with served(current, loads=True, watch=0.05) as client:

        def wait_for(is_there):
            until = time.monotonic() + 20
            while not is_there(client.get("/labels").json()):
                assert time.monotonic() < until
                time.sleep(0.02)

        current.unlink()
        current.symlink_to(own)
        wait_for(lambda told: told["model"]["name"] == "own")
        version = client.get("/readyz").json()["model"]["version"]
        labels = json.loads((own / "labels.json").read_text())
        (own / "labels.json").write_text(json.dumps(labels | {"thresholds": [0.5, 0.01]}))
        wait_for(lambda told: told["thresholds"]["rude"] == 0.01)
        assert client.get("/readyz").json()["model"]["version"] != version


def test_texts_are_logged_only_if_asked(saved_run, caplog):
    caplog.set_level(logging.INFO)
    for config, has_line, has_text in (
        ({}, False, False),
        ({"log_requests": True}, True, False),
        ({"log_texts": True}, True, True),
    ):
        with served(saved_run(), **config) as client:
            caplog.clear()
            client.post("/predict", json={"texts": ["private\nline"]})
            client.post("/predict", json={"texts": [1], "private": "private"})
        assert ('"path": "/predict"' in caplog.text) == has_line
        assert ("private" in caplog.text) == has_text
        assert "private\nline" not in caplog.text


def test_an_app_may_be_started_again(saved_run):
    app = create_app(saved_run(), ServiceConfig(watch=0))
    for _ in range(2):
        with TestClient(app) as client:
            assert client.post("/predict", json={"texts": ["dog"]}).status_code == 200


def test_explanations_may_be_switched_off(saved_run):
    with served(saved_run(), max_explained=0) as client:
        answer = client.post("/predict", json={"texts": ["dog"], "explain": True})
        assert answer.status_code == 422
        assert client.post("/predict", json={"texts": ["dog"]}).status_code == 200


def test_a_link_to_itself_is_no_end(saved_run, tmp_path):
    current = tmp_path / "current"
    current.symlink_to(saved_run())
    with served(current, loads=True, token="s3cret") as client:
        current.unlink()
        current.symlink_to(current)
        assert client.post("/reload", headers=TOKEN).status_code == 409
        client.service._load_if_another()
        assert client.get("/readyz").status_code == 200


def test_an_app_may_be_mounted(saved_run):
    outer = FastAPI()
    outer.mount("/toxic", create_app(saved_run(), ServiceConfig(watch=0)))
    with TestClient(outer) as client:
        answer = client.post("/toxic/predict", json={"texts": ["dog"]})
        assert answer.status_code == 200
        assert 'path="/predict"' in client.get("/toxic/metrics").text


@pytest.mark.parametrize(
    "changes",
    [
        {"max_batch": 0},
        {"max_batch": 64.0},
        {"max_wait": -1},
        {"timeout": 0},
        {"max_queue": 10},
        {"precision": "half"},
    ],
)
def test_settings_that_cannot_be(changes):
    with pytest.raises(InputError, match=next(iter(changes))):
        ServiceConfig(**changes)

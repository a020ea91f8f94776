import csv
import json
import shutil
import threading
import time
import urllib.request
from pathlib import Path

import keras
import numpy as np
import pytest
import uvicorn
from playwright.sync_api import expect, sync_playwright

import kerasbert
from kerasbert import predict, saving
from kerasbert.config import DataConfig, FitConfig, ModelConfig
from kerasbert.config_json import to_json
from kerasbert.config_serve import ServiceConfig
from kerasbert.data.labels import Labels
from kerasbert.data.tokens import Tokenizer
from kerasbert.models.classifier import build_classifier
from kerasbert.models.resolving import resolve_model_config
from kerasbert.serving.app import create_app
from tests.conftest import encoder_config, make_tokenizer
from tests.reporting.reading import Page
from tests.serving.browsing import answers, facts, faint_words

ROOM = Path(kerasbert.__file__).parent / "serving"
LABELS = ("toxic", "<b>bold</b>", "threat")
HOSTILE = f"👊👊 you are <img src=x onerror=alert(1)>\na fool שלום , thank you {'w' * 300}"

expect.set_options(timeout=20_000)


@pytest.fixture(scope="module")
def run_directory(tmp_path_factory):
    config = ModelConfig(task="multilabel", num_labels=3, max_length=32, base="toy")
    base = encoder_config("bert", blocks=1)
    config = resolve_model_config(config, base)
    keras.utils.set_random_seed(7)
    model = build_classifier(config, encoder_config=base)
    for weight in model.get_layer("encoder").weights:
        # Random weights of their usual size leave all texts the same to three digits.
        if "embeddings" in weight.path or "kernel" in weight.path:
            weight.assign(8 * weight)
    labels = Labels("multilabel", LABELS, LABELS, (0.25, 0.5, 0.95))
    fit = json.loads(to_json(FitConfig(data=DataConfig(), model=config)))
    run = kerasbert.Run(model, config, labels, Tokenizer(make_tokenizer(), 32), fit=fit)
    directory = tmp_path_factory.mktemp("runs") / "toy"
    saving.save(directory, run)
    return directory


@pytest.fixture(scope="module")
def classifier(run_directory):
    return kerasbert.load(run_directory)


@pytest.fixture(scope="module")
def address(run_directory):
    """Where the service is, with a model of three labels."""
    app = create_app(run_directory, ServiceConfig())
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.01)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def tab():
    """One tab for all tests, and what its scripts complain of: opening one takes half a second."""
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("There is no chromium or google-chrome to look at the page with.")
    complaints = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path,
            args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
        )
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("console", lambda message: complaints.append(message.text))
        yield page, complaints
        browser.close()


@pytest.fixture
def opened(tab, address):
    """A function that opens the page; of what its scripts complain, nothing is allowed."""
    page, complaints = tab

    def open_page(before=None, at=address, width=1280):
        page.set_viewport_size({"width": width, "height": 640})
        if before:
            before(page)
        page.goto(at)
        return page

    yield open_page
    page.unroute_all()
    # The browser itself tells of answers other than 200, which tests ask for.
    told = [each for each in complaints if "Failed to load resource" not in each]
    complaints.clear()
    assert not told


def classify(page, text):
    page.get_by_role("textbox", name="Comment").fill(text)
    page.keyboard.press("Control+Enter")


def cells(page, table):
    return [row.split("\t") for row in page.locator(f"{table} tbody tr").all_inner_texts()]


def drop(page, name, content):
    page.evaluate(
        """([name, bytes]) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([new Uint8Array(bytes)], name));
          document.body.dispatchEvent(new DragEvent("drop", { dataTransfer, bubbles: true }));
        }""",
        [name, list(content)],
    )


def answering(said, **answer):
    """Answers of a model that is not there, in the place of the service's own."""

    def before(page):
        page.route("**/labels", lambda route: route.fulfill(json=said))
        page.route(
            "**/predict",
            lambda route: route.fulfill(
                json=answers(said, route.request.post_data_json["texts"], **answer)
            ),
        )

    return before


def test_a_comment_has_its_decision_its_bars_and_its_words(opened, classifier):
    page = opened()
    expect(page.get_by_role("heading", name="toy")).to_be_visible()
    assert page.title() == "toy"
    classify(page, HOSTILE)
    decided = classifier.predict([HOSTILE])[0]
    expect(page.get_by_role("heading", level=2)).to_have_text(", ".join(decided))
    expect(page.get_by_role("status")).to_contain_text("in the service")
    expect(page.locator("#words table")).to_be_visible()
    assert len(decided) in (1, 2)
    probabilities = classifier.predict_proba([HOSTILE])[0]
    for row, name, value, threshold in zip(
        cells(page, ".bars"), LABELS, probabilities, classifier.thresholds, strict=True
    ):
        assert row[0].startswith(name)
        assert ("(decided for)" in row[0]) == (name in decided)
        assert float(row[1]) == pytest.approx(value, abs=0.002)
        assert row[2] == f"{'≥' if name in decided else '<'} {threshold:.3f}"
    widths = page.locator(".fill").evaluate_all(
        "all => all.map(e => e.offsetWidth / e.parentElement.offsetWidth)"
    )
    np.testing.assert_allclose(widths, probabilities, atol=0.01)
    assert page.locator("img, main b").count() == 0
    words = page.locator(".text bdi")
    (explanation,) = classifier.explain([HOSTILE])
    assert words.all_text_contents() == [word.text for word in explanation.words]
    assert page.locator(".text").text_content() == HOSTILE
    expect(page.locator("#words")).to_contain_text(
        f"This is about “\u2068{explanation.label}\u2069”"
    )
    table = {row[0]: row[1].replace("\u2212", "-") for row in cells(page, "#words table")}
    for word in explanation.strongest(3):
        assert float(table[word.text]) == pytest.approx(word.contribution, abs=1e-3)
        kind = "up" if word.contribution > 0 else "down"
        assert page.locator(f".text .{kind}", has_text=word.text).get_attribute("title")
    page.get_by_text(f"All {len(explanation.words)} words").click()
    everything = page.get_by_role("table", name="In the order of the text")
    expect(everything.locator("tbody tr")).to_have_count(len(explanation.words))


def test_words_that_cannot_be_had_leave_the_answer(opened):
    def before(page):
        def answer(route):
            if route.request.post_data_json["explain"]:
                route.fulfill(status=504, json={"detail": "That took too long."})
            else:
                route.continue_()

        page.route("**/predict", answer)

    page = opened(before)
    classify(page, "you are kind")
    expect(page.get_by_role("status")).to_contain_text("cannot be shown: That took too long.")
    expect(page.locator(".bars")).to_be_visible()
    page.get_by_label("Show the words that moved it").uncheck()
    classify(page, "you are rude")
    expect(page.locator("#words")).to_be_empty()


def test_each_line_is_a_comment(opened, classifier):
    page = opened()
    lines = page.get_by_label("Each line is a comment")
    classify(page, "you are kind")
    expect(lines).to_be_hidden()
    classify(page, "you are kind\n\n  \nyou fool\n")
    lines.check()
    page.get_by_role("button", name="Classify").first.click()
    expect(page.get_by_role("button", name="Download")).to_be_visible()
    assert page.get_by_role("table", name="2 rows").is_visible()
    rows = cells(page, "#rows")
    assert [row[:2] for row in rows] == [["1", "you are kind"], ["4", "you fool"]]
    found = [[float(cell) for cell in row[3:]] for row in rows]
    expected = classifier.predict_proba(["you are kind", "you fool"])
    np.testing.assert_allclose(found, expected, atol=0.002)


TABLE = (
    '\ufeffid,text,"a, ""b"""\r\n'
    '1,"you are\r\na ""fool"", 👊",=1+1\r\n'
    "\r\n"
    "2,,x\r\n"
    f"3,{'very ' * 400}rude,y\n"
    + "".join(f'{number},"you are {"kind" if number % 3 else "rude"}, {number}",z\r'
              for number in range(4, 100))
)  # fmt: skip


def test_a_file_is_given_back_as_the_command_writes_it(opened, run_directory, tmp_path):
    (tmp_path / "in.csv").write_bytes(TABLE.encode())
    page = opened()
    page.get_by_label("Or a CSV file").set_input_files(tmp_path / "in.csv")
    expect(page.get_by_label("Column with the text")).to_have_value("1")
    page.get_by_role("button", name="Classify 99 rows").press("Enter")
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == "in-predictions.csv"
    download.value.save_as(tmp_path / "page.csv")
    shown = cells(page, "#rows")
    assert len(shown) == 99
    assert [row[0] for row in shown[:4]] == ["2", "4", "5", "6"]  # as a spreadsheet counts them
    expect(page.get_by_role("status")).to_contain_text("1 row has no prediction.")
    predict.main([str(run_directory), str(tmp_path / "in.csv"), f"--output={tmp_path / 'c.csv'}"])
    written, expected = (
        [[*row[:4]] + [float(cell) if "." in cell else cell for cell in row[4:]]
         for row in csv.reader((tmp_path / name).open(encoding="utf-8", newline=""))]
        for name in ("page.csv", "c.csv")
    )  # fmt: skip
    assert written[:1] == expected[:1]
    assert len(written) == 100
    for row, other in zip(written[1:], expected[1:], strict=True):
        assert row[:4] == other[:4]
        assert row[4:] == (pytest.approx(other[4:], abs=2e-5) if other[4] != "" else other[4:])
    # Quotes and line ends, too: numbers apart, the files are the same.
    assert (tmp_path / "page.csv").stat().st_size == (tmp_path / "c.csv").stat().st_size


def test_files_that_cannot_be_read_are_told_of_in_a_sentence(opened):
    page = opened()
    expect(page.locator("#about")).not_to_be_empty()
    for content, sentence in (
        ("text\nfühl".encode("latin-1"), "d.csv is not in UTF-8. Save it as “CSV UTF-8”"),
        (b"text\n", "d.csv has no rows. Expected a header and at least one row."),
        (b'text\nkind\n"you" fool\n', "d.csv, row 3: the quoting is broken."),
        (b'text\n"you', "d.csv, row 2: the quoting is broken."),
        (b"id,text\n1,you, fool\n", "d.csv, row 2: 3 cells where the header has 2."),
        (b"text,text\n1,2\n", "d.csv: the column “text” is there twice. Rename one of them."),
    ):
        drop(page, "d.csv", content)
        expect(page.get_by_role("alert")).to_contain_text(sentence)
    drop(page, "d.csv", b"text,prediction\nkind,1\n")
    page.get_by_role("button", name="Classify 1 row").click()
    expect(page.get_by_role("alert")).to_contain_text("There is a column “prediction” already")


def test_rows_go_in_parts_and_a_busy_or_slow_service_is_waited_for(opened):
    said, asked = facts("binary", ("civil", "rude"), (0.4, 0.6)), []
    made = {"decided": ["rude"], "probabilities": [0.375, 0.625]}

    def answer(route):
        asked.append(route.request.post_data_json["texts"])
        refusal = {2: (503, "The queue is full."), 3: (504, "That took too long.")}.get(len(asked))
        if refusal:
            headers = {"Retry-After": "0.05"}
            route.fulfill(status=refusal[0], json={"detail": refusal[1]}, headers=headers)
        elif len(asked) < 7:
            route.fulfill(json=answers(said, asked[-1], **made))
        # What comes after stays without an answer, until it is cancelled.

    page = opened(lambda page: (answering(said)(page), page.route("**/predict", answer)))
    rows = [f"row {number}" for number in range(11)]
    rows[1] = "👊" * 51
    drop(page, "d.csv", "\n".join(["text", *rows]).encode())
    page.get_by_role("button", name="Classify 11 rows").click()
    expect(page.locator("#count")).to_have_text("7 of 11 rows")
    assert page.get_by_role("progressbar").get_attribute("value") == "7"
    page.get_by_role("button", name="Cancel").press("Enter")
    expect(page.get_by_role("status")).to_contain_text("Cancelled.")
    expect(page.get_by_role("button", name="Download")).to_be_focused()
    first, second = ["row 0", "row 2"], ["row 3", "row 4"]
    assert asked[:5] == [first, second, second, ["row 3"], ["row 4"]]
    shown = cells(page, "#rows")
    assert shown[0] == ["2", "row 0", "rude", "0.375", "0.625"]
    assert shown[1] == ["3", "👊" * 51, "too long: 51 characters, 50 at most"]
    assert shown[-1] == ["12", "row 10", "not yet"]


def test_a_new_model_is_noticed(opened):
    said = facts("binary", ("civil", "rude"), (0.4, 0.6))
    page = opened(answering(said, decided=["rude"], probabilities=[0.375, 0.625]))
    expect(page.locator("#about")).to_contain_text("Version 0123456789ab.")
    said["model"]["version"] = "second"
    classify(page, "you are kind")
    expect(page.locator(".bars")).to_be_visible()
    expect(page.locator("#about")).to_contain_text("Version second.")
    said["model"]["version"] = "third"
    drop(page, "d.csv", b"text\nkind\n")
    page.get_by_role("button", name="Classify 1 row").click()
    expect(page.get_by_role("alert")).to_contain_text("has another model since this began.")
    page.get_by_role("button", name="Classify 1 row").click()
    expect(page.get_by_role("status")).to_contain_text("1 row in")


@pytest.mark.parametrize(
    ("said", "answer", "expected"),
    [
        (
            facts("multiclass", ("a", "b", "c"), unsure_below=0.6),
            {"probabilities": [0.25, 0.5, 0.25]},
            ["Don't know", "“b”, has 0.500; below 0.600 the answer is “don't know”.", "0.250"],
        ),
        (
            facts("multiclass", ("a", "b"), (0.25, 0.5)),
            {"decided": ["a"], "probabilities": [0.375, 0.625]},
            ["a", "largest multiple of its threshold", "1.50 \u00d7 0.250"],
        ),
        (
            facts("binary", ("civil", "rude"), (0.4, 0.6)),
            {"decided": ["civil"], "probabilities": [0.5, 0.5]},
            ["civil", "“rude” is decided for from a probability of 0.600.", "< 0.600"],
        ),
        (
            facts("multilabel", ("a", "b"), (0.5, 0.5)),
            {"probabilities": [0.25, 0.375]},
            ["None of the labels", "Each is below its threshold.", "< 0.500"],
        ),
        (facts("regression", ("stars",)), {"score": 3.75}, ["3.75", "gives for “stars”.", ""]),
        (
            facts("multilabel", [f"label_{number}" for number in range(100)], [0.5] * 100),
            {"decided": ["label_99"], "probabilities": [0.4 - i / 1000 for i in range(99)] + [0.5]},
            ["label_99", "", "The other 88 labels"],
        ),
    ],
    ids=["unsure", "multiples", "binary", "none", "regression", "hundred"],
)
def test_answers_of_every_task(said, answer, expected, opened):
    page = opened(answering(said, **answer), width=360)
    classify(page, "you are kind")
    decision, reason, bars = expected
    expect(page.get_by_role("heading", level=2)).to_have_text(decision)
    expect(page.get_by_role("heading", level=2)).to_be_in_viewport()
    reason_shown = page.locator("#reason").text_content()
    assert reason in reason_shown.replace("\u2068", "").replace("\u2069", "")
    assert bars in page.locator("#bars").inner_text()
    assert page.locator(".bars:visible tbody tr").count() == min(len(said["labels"]), 12) * (
        said["task"] != "regression"
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 360


def test_pairs_have_a_second_field_and_a_second_column(opened):
    said, asked = facts("binary", ("no", "yes"), (0.5, 0.5), takes_pairs=True), []

    def answer(route):
        asked.append(route.request.post_data_json)
        made = answers(said, asked[-1]["texts"], decided=["no"], probabilities=[0.75, 0.25])
        route.fulfill(json=made)

    page = opened(lambda page: (answering(said)(page), page.route("**/predict", answer)))
    page.get_by_role("textbox", name="First text").fill("a\nb")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_role("textbox", name="Second text")).to_be_focused()
    expect(page.get_by_role("alert")).to_contain_text("nothing to classify yet")
    page.keyboard.type("c")
    page.get_by_label("Each line").check()
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Received: 2 and 1.")
    drop(page, "d.csv", b"one,other\na,b\n")
    page.get_by_role("button", name="Classify 1 row").click()
    expect(page.get_by_role("status")).to_contain_text("1 row in")
    assert asked == [{"texts": ["a"], "explain": False, "text_pairs": ["b"]}]


def test_errors_are_sentences(opened, address):
    page = opened()
    page.get_by_label("Show the words").uncheck()
    classify(page, "  ")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text("There is nothing to classify yet. Write a comment first.")
    with urllib.request.urlopen(f"{address}labels") as labels:
        limit = json.load(labels)["limits"]["characters"]
    with page.expect_response("**/predict") as response:
        classify(page, "a" * (limit + 1))
    assert response.value.status == 422
    expect(alert).to_have_text(response.value.json()["detail"])
    page.route("**/predict", lambda route: route.abort())
    classify(page, "you are kind")
    expect(alert).to_contain_text("The service cannot be reached.")
    page.unroute("**/predict")
    page.route("**/predict", lambda route: route.fulfill(status=502, body="<h1>Bad gateway</h1>"))
    classify(page, "you are kind")
    expect(alert).to_contain_text("The answer, with status 502, is not one of this service.")
    page.unroute("**/predict")
    classify(page, "you are kind")
    expect(page.locator(".bars")).to_be_visible()
    expect(alert).to_be_empty()


def test_a_service_with_a_token_asks_for_it_and_keeps_it_nowhere(opened):
    def before(page):
        def guard(route):
            if route.request.headers.get("authorization") == "Bearer let-me-in":
                route.continue_()
            else:
                route.fulfill(status=401, json={"detail": "The token is not this service's."})

        for path in ("**/labels", "**/predict"):
            page.route(path, guard)

    page = opened(before)
    page.get_by_label("Show the words").evaluate("field => field.checked = false")
    field = page.get_by_label("Token of this service")
    expect(field).to_be_focused()
    assert field.get_attribute("type") == "password"
    page.keyboard.type("wrong\n")
    expect(page.get_by_role("alert")).to_have_text("The token is not this service's.")
    field.fill("let-me-in")
    page.keyboard.press("Enter")
    expect(page.get_by_role("textbox", name="Comment")).to_be_focused()
    classify(page, "you are kind")
    expect(page.locator(".bars")).to_be_visible()
    kept = page.evaluate("[localStorage.length, sessionStorage.length, document.cookie]")
    assert kept == [0, 0, ""]


def test_a_phone_scrolls_down_only_and_words_stand_out_in_light_and_dark(opened):
    page = opened(width=360)

    def check():
        assert page.evaluate("document.documentElement.scrollWidth") == 360
        grounds = set()
        for colours in ("light", "dark"):
            page.emulate_media(color_scheme=colours)
            assert not faint_words(page)
            grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        assert len(grounds) == 2

    classify(page, HOSTILE)
    expect(page.locator("#words table")).to_be_visible()
    assert page.locator(".text .up, .text .down").count() > 1
    check()
    page.get_by_label("Each line").check()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Download")).to_be_visible()
    check()
    classify(page, " ")
    expect(page.get_by_role("alert")).not_to_be_empty()
    check()


def test_the_keyboard_reaches_everything(opened):
    page = opened()
    expect(page.locator("#about")).not_to_be_empty()
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the comment")).to_be_in_viewport()
    page.keyboard.press("Enter")
    reached, active = [], "document.activeElement"
    for _ in range(4):
        page.keyboard.press("Tab")
        reached.append(page.evaluate(f"{active}.id || {active}.textContent"))
        assert page.evaluate(f"getComputedStyle({active}).outlineWidth") == "3px"
    assert reached == ["Classify", "explain", "file", "How programs ask this service"]


def test_the_page_is_sent_with_a_policy_that_allows_its_own_files_alone(address):
    with urllib.request.urlopen(address) as response:
        policy = response.headers["Content-Security-Policy"]
    assert "default-src 'none'; script-src 'self'; style-src 'self'" in policy


def test_the_page_works_under_a_prefix(opened, address):
    def before(page):
        def forward(route):
            route.fulfill(response=route.fetch(url=route.request.url.replace("/under/it/", "/")))

        page.route("**/under/it/**", forward)

    page = opened(before, at=f"{address}under/it/")
    page.get_by_label("Show the words").uncheck()
    classify(page, "you are kind")
    expect(page.locator(".bars")).to_be_visible()


def test_the_file_asks_for_nothing_from_elsewhere_and_labels_its_fields():
    page = Page((ROOM / "page.html").read_text(encoding="utf-8"))
    labelled = {attributes["for"] for attributes in page.all("label") if "for" in attributes}
    for tag, attributes, parents in page.elements:
        assert "style" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
        if tag in ("input", "textarea", "select"):
            assert attributes["id"] in labelled or "label" in parents
    files = [a["src"] for a in page.all("script")]
    files += [a["href"] for a in page.all("link") if a["rel"] == "stylesheet"]
    assert files
    for name in files:
        assert (ROOM / name).is_file()

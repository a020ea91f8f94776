"""What requests and answers hold: checked, and told to OpenAPI, with examples."""

import functools
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json

from kerasbert.config_serve import ServiceConfig

PREDICT_EXAMPLE = {
    "model": {"name": "toxic", "version": "1f0c9a7b2e41"},
    "task": "multilabel",
    "thresholds": {"toxic": 0.37, "insult": 0.31},
    "unsure_below": None,
    "predictions": [
        {
            "labels": [],
            "probabilities": {"toxic": 0.0023, "insult": 0.0011},
            "score": None,
            "explanation": None,
        },
        {
            "labels": ["toxic", "insult"],
            "probabilities": {"toxic": 0.9714, "insult": 0.8342},
            "score": None,
            "explanation": None,
        },
    ],
    "seconds": 0.0124,
}
_EXPECTED = '{"texts": ["...", ...]}'


class Strict(BaseModel):
    """No field but those that are named, and no value of another type."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Identity(BaseModel):
    """Which model it is."""

    name: Annotated[str, Field(description="of the run's directory")]
    version: Annotated[
        str, Field(description="another whenever weights, tokenizer or decision are")
    ]


class Word(BaseModel):
    """What a word contributes."""

    text: str
    start: Annotated[int, Field(description="its first character, counted from 0")]
    end: Annotated[int, Field(description="the character after its last")]
    part: Annotated[int, Field(description="0: of the first text, 1: of the second")]
    contribution: Annotated[float, Field(description="what it adds to the probability, or takes")]
    is_read: Annotated[bool, Field(description="false after the cut at the maximum length")]


class WordsOfText(BaseModel):
    """Why: what the words of a text contribute to the probability, or score, of a label."""

    label: str
    method: str
    probability: float
    baseline_probability: Annotated[float, Field(description="of padding, or of no word at all")]
    words: list[Word]


class Prediction(BaseModel):
    """The answer to one text."""

    labels: Annotated[
        list[str],
        Field(
            description='one name, or none for "don\'t know"; multilabel: all that are decided '
            "for; regression: none"
        ),
    ]
    probabilities: Annotated[
        dict[str, float] | None, Field(description="by label, calibrated if the model is")
    ]
    score: Annotated[float | None, Field(description="of a regression")]
    explanation: WordsOfText | None


class Decision(BaseModel):
    """What decides."""

    model: Identity
    task: Annotated[str, Field(description="binary, multiclass, multilabel or regression")]
    thresholds: Annotated[
        dict[str, float] | None,
        Field(
            description="by label. Binary: that of the second one decides. Multiclass: the largest "
            "multiple of its threshold wins, or where null the largest probability. Multilabel: "
            "each decides for itself"
        ),
    ]
    unsure_below: Annotated[
        float | None, Field(description='the probability below which the answer is "don\'t know"')
    ]


class PredictResponse(Decision):
    """The answers to a request's texts, in their order."""

    predictions: list[Prediction]
    seconds: Annotated[float, Field(description="from the request to its answer")]


class Limits(BaseModel):
    """How much a request may hold."""

    texts: int
    characters: Annotated[int, Field(description="of a text")]
    body_bytes: int
    explained_texts: int
    seconds: float


class LabelsResponse(Decision):
    """What the model says, and what it takes."""

    labels: list[str]
    takes_pairs: Annotated[bool, Field(description="whether it classifies pairs of texts")]
    max_length: Annotated[int, Field(description="word pieces that are read of a text, or pair")]
    limits: Limits


class StatusResponse(BaseModel):
    """How the service is."""

    status: str
    model: Identity | None = None


class ReloadResponse(BaseModel):
    """Which model answers now, and which one did."""

    model: Identity
    was: Identity


class ErrorResponse(BaseModel):
    """What went wrong, and how to mend it."""

    detail: str


@functools.lru_cache(maxsize=8)
def request_schema(config: ServiceConfig, takes_pairs: bool | None = None) -> type[BaseModel]:
    """What a request to classify may hold.

    Args:
        config: its limits.
        takes_pairs: whether it must, or must not, have second texts; None leaves that open.
    """
    text = Annotated[str, Field(max_length=config.max_characters)]
    # The first thing that is wrong is enough: a large body may hold a hundred thousand.
    texts = Annotated[list[text], Field(min_length=1, max_length=config.max_texts, fail_fast=True)]
    pair_example = {"text_pairs": ["That was kind.", "Nobody asked."]} if takes_pairs else {}
    example = {"texts": ["Thank you, that was kind.", "You fool."]} | pair_example
    pairs_type: Any = {None: texts | None, True: texts, False: None}[takes_pairs]
    # Checked by the route, and told here.
    most_explained = {
        "if": {"properties": {"explain": {"const": True}}, "required": ["explain"]},
        "then": {"properties": {"texts": {"maxItems": config.max_explained}}},
    }
    schema = create_model(
        "PredictRequest",
        __base__=Strict,
        __doc__="Texts, or pairs of texts, to classify.",
        texts=(texts, Field(description="to classify", examples=[example["texts"]])),
        text_pairs=(
            pairs_type,
            Field(
                **({} if takes_pairs else {"default": None}),
                description="the second texts, as many, for a model of pairs alone",
            ),
        ),
        explain=(
            bool,
            Field(
                default=False,
                description="whether to say what each word contributes; for at most "
                f"{config.max_explained} texts",
            ),
        ),
    )
    schema.model_config["json_schema_extra"] = most_explained
    return schema


class RefusedError(Exception):
    """A body that holds no request: `status`, and a sentence that shows nothing of its texts."""

    def __init__(self, status: int, sentence: str):
        super().__init__(sentence)
        self.status = status


def read_request(body: bytes, schema: type[BaseModel]) -> BaseModel:
    """The request that a body holds.

    Args:
        body: JSON.
        schema: from `request_schema`.

    Raises:
        RefusedError: 400, it is not JSON; 422, it is something else.
    """
    try:
        values = from_json(body)
    except ValueError as error:
        problem = str(error)
        # The parser's words for an escaped half of a surrogate pair, which JSON allows to write.
        if "hex escape" in problem:
            problem += ", perhaps half of a surrogate pair"
        sentence = f"The body is not JSON: {problem}. Expected {_EXPECTED}."
        raise RefusedError(400, sentence) from None
    if isinstance(values, dict):
        unknown = next((name for name in values if name not in schema.model_fields), None)
        if unknown is not None:
            known = "texts, text_pairs and explain"
            sentence = f"There is no field of the name {unknown[:40]!r}. Expected {known} alone."
            raise RefusedError(422, sentence)
    try:
        return schema.model_validate(values)
    except ValidationError as error:
        raise RefusedError(422, _sentence_of(error)) from None


def _sentence_of(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    kind, given, context = first["type"], first.get("input"), first.get("ctx", {})
    place = "".join(f"[{part}]" if isinstance(part, int) else part for part in first["loc"][:2])
    name = f"`{place}`" if place else "The body"
    if kind == "missing":
        return f"{name} is missing. Expected {_EXPECTED}."
    if kind == "too_long":
        most = context["max_length"]
        return f"{name} has more than {most:,} texts, the limit. Send several requests."
    if kind == "too_short":
        return f"{name} is empty. Expected at least one text."
    if kind == "string_too_long":
        most, length = context["max_length"], len(given)
        return f"{name} has {length:,} characters. The limit is {most:,}; shorten it."
    if kind == "string_unicode":
        return f"{name} is not Unicode: it holds half of a surrogate pair. Remove it."
    expected = {"list_type": "a list of strings", "string_type": "a string"}
    expected |= {"bool_type": "true or false", "model_type": "an object"}
    if kind == "none_required":
        return "The model takes single texts. Leave `text_pairs` out."
    return f"{name} must be {expected.get(kind, first['msg'])}. Received: {_json_kind(given)}."


def _json_kind(value: Any) -> str:
    names = {str: "a string", bool: "true or false", list: "a list", dict: "an object"}
    return "null" if value is None else names.get(type(value), "a number")

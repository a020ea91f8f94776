"""What the page is looked at with: contrast of its words, and answers of models of every task."""

# Every word that is shown, with its own colour and those behind it, innermost first.
_COLOURS = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const words = walker.currentNode.data.trim();
    if (!words || !element.checkVisibility()) continue;
    const behind = [];
    for (let at = element; at; at = at.parentElement) {
      behind.push(getComputedStyle(at).backgroundColor);
    }
    found.push([words, getComputedStyle(element).color, behind]);
  }
  return found;
}"""


def faint_words(page) -> list[tuple[str, float]]:
    """Words with a contrast below 4.5, which WCAG asks for, with their contrast."""
    found = []
    for words, colour, behind in page.evaluate(_COLOURS):
        ground = (1.0, 1.0, 1.0)
        for layer in reversed([_rgba(layer) for layer in behind]):
            ground = _over(layer, ground)
        light, dark = sorted(map(_luminance, (_over(_rgba(colour), ground), ground)), reverse=True)
        if (contrast := (light + 0.05) / (dark + 0.05)) < 4.5:
            found.append((words, round(contrast, 2)))
    return found


def _rgba(colour: str) -> tuple[float, ...]:
    """Red, green, blue and opacity, 0 to 1, of what a browser computes."""
    name, _, numbers = colour.rstrip(")").partition("(")
    values = [float(part) for part in numbers.replace(",", " ").replace("/", " ").split()[-4:]
              if part != "srgb"]  # fmt: skip
    scale = 1 if name == "color" else 255
    return *(value / scale for value in values[:3]), values[3] if len(values) > 3 else 1.0


def _over(front, ground) -> tuple[float, ...]:
    return tuple(
        channel * front[3] + under * (1 - front[3])
        for channel, under in zip(front, ground, strict=False)
    )


def _luminance(colour) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]
    return sum(part * share for part, share in zip(linear, (0.2126, 0.7152, 0.0722), strict=True))


def facts(task, labels, thresholds=None, unsure_below=None, takes_pairs=False):
    """What `/labels` says of a model."""
    return {
        "model": {"name": "made-up", "version": "0123456789ab"},
        "task": task,
        "labels": list(labels),
        "thresholds": thresholds and dict(zip(labels, thresholds, strict=True)),
        "unsure_below": unsure_below,
        "takes_pairs": takes_pairs,
        "max_length": 32,
        "limits": {
            "texts": 2, "characters": 50, "body_bytes": 10_000, "explained_texts": 0, "seconds": 30,
        },
    }  # fmt: skip


def answers(said, texts, decided=(), probabilities=None, score=None):
    """What `/predict` answers for a model of `facts`, the same for each text."""
    prediction = {
        "labels": list(decided),
        "probabilities": probabilities and dict(zip(said["labels"], probabilities, strict=True)),
        "score": score,
        "explanation": None,
    }
    about = {name: said[name] for name in ("model", "task", "thresholds", "unsure_below")}
    return about | {"predictions": [prediction] * len(texts), "seconds": 0.0123}
